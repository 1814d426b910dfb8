"""Settings for the whole suite, made before NumPy, torch or Faiss is imported."""

import os
import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path

# One thread: the tests are small, and two busy OpenMP pools on two cores crawl.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("NO_COLOR", "1")

from hypothesis import HealthCheck, settings  # noqa: E402

# Shared machines stall: no deadline an example, and the same examples in every run.
settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")

import pytest  # noqa: E402
from filelock import FileLock  # noqa: E402

from hashret import kernels as compiled  # noqa: E402
from hashret.store.catalog.address import VARIABLE  # noqa: E402
from tests import postgresql as server  # noqa: E402
from tests.torture.scale import LONG  # noqa: E402


def pytest_collection_modifyitems(items):
    """Mark what `make test` leaves to `make test-all`: promises' harnesses, catalogs on a server."""
    for item in items:
        path = item.path.as_posix()
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        on_a_server = parameters.get("each_catalog") == "postgresql"
        if "/tests/torture/" in path or path.endswith("_postgresql.py") or on_a_server:
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session", autouse=True)
def own_memory(tmp_path_factory):
    """What hashret remembers for its user is not what it remembers of a run of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv(VARIABLE, raising=False)
        yield


@pytest.fixture(params=["numpy", "compiled"])
def kernels(request, monkeypatch):
    """A test with it runs with NumPy alone, and with compiled kernels.

    They are loaded for the whole process, so they are put in place or hidden from it.
    """
    monkeypatch.setattr(compiled, "_loaded", None)  # and put back as it was afterwards
    if request.param == "compiled":
        pytest.importorskip("numba", reason="the extra hashret[fast] is not installed")
        # one process of several compiles, where nobody has yet, and the others wait for it
        lock = Path(tempfile.gettempdir()) / f"hashret-kernels-{os.getuid()}.lock"
        with FileLock(lock) if not compiled.are_cached() else nullcontext():
            assert compiled.enable() is not None
    else:
        monkeypatch.setattr(compiled, "_refused", True)
    return request.param


@pytest.fixture(scope="session")
def postgresql():
    """A PostgreSQL server of this run's own (`tests.postgresql.Server`)."""
    if reason := server.missing():
        pytest.skip(reason)
    with server.running() as running:
        yield running


def catalog_in(request):
    """New collections have their catalog in the place that the parameter names."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "postgresql":
            patch.setenv(VARIABLE, request.getfixturevalue("postgresql").url)
        yield request.param


PLACES = ["sqlite", "postgresql"]
#: A test with it runs for either place where a catalog can be.
each_catalog = pytest.fixture(catalog_in, scope="module", params=PLACES, name="each_catalog")
#: The same, but in the short form for the folder alone.
each_catalog_if_long = pytest.fixture(
    catalog_in,
    scope="module",
    params=PLACES if LONG else PLACES[:1],
    name="each_catalog_if_long",
)


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, one at a time in a process, since Playwright keeps its event loop."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium; apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()
