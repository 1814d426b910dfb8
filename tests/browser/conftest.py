"""A real server, a real browser, and pages that must not break a rule of safety.

What the server answers itself is asked of it; what explains, maps and compares is canned, so that
the page is tested and not the rooms below it.
"""

import socket
import threading
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import uvicorn

from hashret import Collection, Item
from hashret.server.app import create_app
from hashret.server.guard import Limits
from indexer import Indexer, TrainingOptions
from tests.browser import canned
from tests.corpora import topic_items

TOKEN = "s3cret"  # noqa: S105


@pytest.fixture(scope="session")
def collections(tmp_path_factory):
    """A folder with the collections texts, one of which is hostile, and images."""
    folder = tmp_path_factory.mktemp("shown")
    texts = [Item(f"notes/{one.id}", one.payload, one.metadata) for one in topic_items(80)]
    hostile = f"ship sail {canned.HOSTILE} <script>alert(2)</script> anchor"
    texts.append(Item(canned.HOSTILE, hostile, {"topic": canned.HOSTILE, canned.HOSTILE: "1"}))
    rng = np.random.default_rng(0)
    images = [Item(f"a/{i}.png", rng.integers(0, 255, (16, 16), np.uint8)) for i in range(12)]
    options = TrainingOptions(n_bits=canned.N_BITS, preset="dense", epochs=1, device="cpu")
    for kind, items in (("text", texts), ("image", images)):
        with Indexer(folder / f"{kind}s", kind) as indexer:
            indexer.fit(items, options)
            indexer.add(items)
            indexer.commit()
    return folder


@contextmanager
def serving(folder, names, limits=None):
    """The address of a server of these collections, in a thread."""
    with ExitStack() as stack:
        opened = {name: stack.enter_context(Collection.open(folder / name)) for name in names}
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        app = create_app(opened, limits or Limits())
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        stack.callback(thread.join)
        stack.callback(setattr, server, "should_exit", True)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


@pytest.fixture(scope="session")
def address(collections):
    with serving(collections, ["texts", "images"]) as address:
        yield address


@pytest.fixture(scope="session")
def guarded(collections):
    with serving(collections, ["images"], Limits(token=TOKEN)) as address:
        yield address


@pytest.fixture(scope="session")
def ids(collections):
    with Collection.open(collections / "texts") as collection:
        return list(collection.ids())


@contextmanager
def a_page(browser, address, ids, **how):
    """A page of the server, whose every error, foreign request and broken rule is a failure."""
    context = browser.new_context(**how)
    page = context.new_page()
    page.set_default_timeout(15_000)
    wrong = []
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (wrong.append("dialog"), dialog.dismiss()))
    page.on("request", lambda asked: _foreign(asked.url, address) and wrong.append(asked.url))
    page.on(
        "console",
        lambda message: "Content Security Policy" in message.text and wrong.append(message.text),
    )
    page.route("**/v1/**", _passing(ids))
    yield page
    context.close()
    assert wrong == []


def _foreign(url, address):
    return not url.startswith((address, f"blob:{address}"))


def _passing(ids):
    """Canned answers for what explains, maps and compares; all else goes to the server."""

    def parts(request):
        return canned.explanation("words", request.post_data_json["item"])

    def bit(request):
        asked = request.url.partition("bit=")[2]
        return canned.bits(int(asked) if asked else None)

    def code_map(request):
        return canned.code_map(ids, "topic" if "field=topic" in request.url else None)

    answer = canned.answering(
        explain=parts,
        explain_image=lambda _: canned.explanation("places", "a/0.png"),
        bits=bit,
        map=code_map,
        duplicates=canned.duplicates(),
    )
    names = ("explain", "bits", "map", "duplicates", "thumbnail")

    def handle(route):
        path = route.request.url.partition("/v1/")[2]
        (answer if path.startswith(names) else lambda one: one.continue_())(route)

    return handle


@pytest.fixture
def page(browser, address, ids):
    with a_page(browser, address, ids) as page:
        page.goto(address)
        yield page
