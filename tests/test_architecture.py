"""The rules of the house (ARCHITECTURE.md), checked on the syntax trees of both packages."""

import ast
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("features", "models", "indexes", "store")
JOINS = {
    "hashret/collection.py",
    "hashret/snapshot.py",
    "hashret/coder.py",
    "hashret/search/machine.py",
    "hashret/search/searcher.py",
}  # what may know more than one room
TORCH_HOMES = {
    "indexer/training/objectives.py",
    "indexer/training/pretrain.py",
    "indexer/training/finetune.py",
    "indexer/training/neighbours/neighbourhoods.py",
    "indexer/training/corruption.py",
    "indexer/training/batches.py",
    "indexer/training/neighbours/hog.py",
    "indexer/training/checkpoints.py",
    "indexer/training/optimise.py",
    "indexer/training/trainer.py",
    "indexer/training/vectors/towers.py",
}
CLIS = {
    "hashret/cli/group.py",
    "hashret/cli/output.py",
    "hashret/cli/files.py",
    "hashret/cli/payloads.py",
    "hashret/cli/query.py",
    "hashret/cli/stored.py",
    "indexer/cli.py",
    "indexer/cli/__init__.py",
    "indexer/cli/evaluate.py",
    "indexer/cli/demo.py",
    "indexer/cli/index.py",
    "indexer/cli/maintain.py",
    "indexer/cli/options.py",
    "indexer/cli/tune.py",
}
HOMES = {
    "torch": lambda path: path.startswith("hashret/models/") or path in TORCH_HOMES,
    "faiss": lambda path: (
        path.startswith("hashret/indexes/faiss_")
        or path == "indexer/training/neighbours/neighbourhoods.py"
    ),
    "sqlalchemy": lambda path: path.startswith("hashret/store/catalog"),
    "PIL": lambda path: path == "hashret/features/image.py",
    "click": lambda path: path in CLIS | {"indexer/cli/console.py"},
    "rich": lambda path: path == "indexer/cli/console.py",
    "safetensors": lambda path: path.startswith("hashret/store/"),
    "filelock": lambda path: path == "hashret/store/lock.py",
    "numba": lambda path: path.startswith("hashret/indexes/compiled/"),
    "llvmlite": lambda path: path == "hashret/indexes/kernels/intrinsics.py",
    "regex": lambda path: path == "hashret/features/tokens.py",
    "scipy": lambda path: path == "hashret/models/dense.py" or path.startswith("indexer/"),
    "ir_measures": lambda path: path == "indexer/evaluation/judged.py",
    "psycopg": lambda path: False,  # SQLAlchemy imports it
}
OPENERS = {"open", "read_bytes", "read_text", "write_bytes", "write_text", "memmap", "load", "save"}
PURE = (
    "hashret/measures.py",
    "hashret/codes.py",
    "hashret/measures.py",
    "hashret/rank.py",
)
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("hashret", "indexer")
    for path in (ROOT / package).rglob("*.py")
)


def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), path)


def imports(path: str) -> set[str]:
    """Every module that a file imports anywhere, and every "module:attribute" string in it."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            module, colon, attribute = node.value.partition(":")
            if colon and attribute.isidentifier() and module.replace(".", "").isidentifier():
                found.add(module)
    return found


def room(path: str) -> str | None:
    parts = path.split("/")
    return parts[1] if parts[0] == "hashret" and parts[1] in ROOMS else None


def test_there_is_something_to_check():
    assert {"hashret/collection.py", "indexer/writer.py", *PURE} <= set(FILES)


@pytest.mark.parametrize("path", [p for p in FILES if p.startswith("hashret/")])
def test_hashret_never_imports_indexer(path):
    assert not {m for m in imports(path) if m.split(".")[0] == "indexer"}


@pytest.mark.parametrize("path", [p for p in FILES if p.startswith("hashret/")])
def test_rooms_do_not_know_one_another(path):
    known = {m.split(".")[1] for m in imports(path) if m.startswith("hashret.")} & set(ROOMS)
    if path not in JOINS:
        assert known <= {room(path)}


@pytest.mark.parametrize("path", FILES)
def test_each_third_party_package_has_one_home(path):
    for package, is_home in HOMES.items():
        if package in {m.split(".")[0] for m in imports(path)}:
            assert is_home(path), f"{package} is imported in {path}"


@pytest.mark.parametrize("path", FILES)
def test_files_are_opened_in_few_places(path):
    allowed = path.startswith(("hashret/store/", "indexer/corpus")) or path in {
        "hashret/features/image.py",
        *CLIS,
        "indexer/cli/demo_corpus.py",
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and not allowed:
            called = node.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            owner = (
                called.value.id
                if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name)
                else ""
            )
            # Collection.open and Catalog.open open collections, LLVM's builder loads from memory
            if name in OPENERS and owner not in {"Collection", "Catalog", "builder"}:
                raise AssertionError(f"{path}:{node.lineno} calls {name}")


@pytest.mark.parametrize("path", PURE)
def test_the_pure_files_use_numpy_only(path):
    roots = {m.split(".")[0] for m in imports(path)}
    assert roots <= sys.stdlib_module_names | {"numpy", "hashret"}
    assert not roots & {"os", "io", "pathlib", "socket", "subprocess"}
    inner = {m for m in imports(path) if m.startswith("hashret.")}
    assert {m.split(".")[1] for m in inner} <= {"codes", "measures", "errors", "sparse"}


@pytest.mark.parametrize("package", ["hashret", "indexer"])
def test_every_file_stands_in_the_page(package):
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"[\w*]+\.py\b", page))
    for path in (ROOT / package).glob("[!_]*.py"):
        assert any(fnmatch(path.name, pattern) for pattern in shown), path.name


def test_every_package_that_is_needed_has_a_home():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["evaluate"], *extras["fast"], *extras["postgresql"]]
    names = {re.split(r"[\[>]", one)[0].replace("-", "_") for one in needed} - {"numpy"}
    names = {{"faiss_cpu": "faiss", "pillow": "PIL"}.get(name, name) for name in names}
    assert names <= HOMES.keys()


def test_importing_the_door_is_light():
    script = (
        "import sys, hashret, indexer; "
        "print([m for m in ('torch', 'faiss', 'sqlalchemy', 'numpy', 'click') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
