"""The rules of the house (ARCHITECTURE.md), checked on the syntax trees of both packages."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from hashret.cli.payloads import _GIVEN
from hashret.features import FEATURIZERS
from hashret.kinds import KINDS
from indexer.corpus.forms import FORMS
from indexer.training.presets import PRESETS

ROOT = Path(__file__).parent.parent
#: Third-party package -> the rooms that may import it (ARCHITECTURE.md, rule 3).
HOMES: dict[str, tuple[str, ...]] = {
    "chardet": ("indexer/corpus/guessing.py",),
    "torch": ("indexer/training/",),
    "faiss": ("hashret/indexes/faiss_library.py",),
    "pyarrow": (
        "hashret/outside/exports.py",
        "hashret/store/",
        "hashret/where/columns.py",
        "indexer/corpus/folders/",
        "indexer/corpus/tables/",
    ),
    "selectolax": ("indexer/corpus/extract/",),
    "pypdfium2": ("indexer/corpus/extract/",),
    "docx": ("indexer/corpus/extract/",),
    "pptx": ("indexer/corpus/extract/",),
    "olefile": ("indexer/corpus/extract/",),
    "striprtf": ("indexer/corpus/extract/",),
    "sqlalchemy": ("hashret/store/catalog/", "hashret/store/repair/"),
    "PIL": ("hashret/features/", "hashret/insight/"),
    "openTSNE": ("hashret/insight/tsne.py",),
    "regex": ("hashret/features/", "hashret/unicode_text.py", "indexer/corpus/sentences.py"),
    "click": ("hashret/cli/", "indexer/cli/"),
    "rich": ("hashret/cli/terminal.py", "indexer/cli/"),
    "safetensors": ("hashret/store/",),
    "filelock": ("hashret/store/",),
    "numba": ("hashret/kernels/",),
    "llvmlite": ("hashret/kernels/",),
    "scipy": ("hashret/sparse.py", "indexer/"),
    "ir_measures": ("indexer/evaluation/",),
    "psycopg": (),  # SQLAlchemy imports it
    "fastapi": ("hashret/server/",),
    "starlette": ("hashret/server/",),
    "pydantic": ("hashret/server/",),
    "pydantic_core": ("hashret/server/",),
    "uvicorn": ("hashret/server/",),
}
#: Beside each spec stands the name of the encoder that it rebuilds, which `coder.py` loads.
NAMED_FROM_BELOW = ("hashret/specs/encoders.py", "models")
#: Where files are opened.
READERS = ("hashret/store/", "hashret/outside/", "hashret/features/pictures.py", "hashret/cli/")
READERS += ("hashret/server/page_files.py", "hashret/insight/page_files.py")
READERS += ("indexer/corpus/", "indexer/cli/")
OPENERS = {"open", "read_bytes", "read_text", "write_bytes", "write_text", "memmap", "load", "save"}
PURE = (
    "hashret/codes.py",
    "hashret/measures.py",
    "hashret/rank.py",
)
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("hashret", "indexer")
    for path in (ROOT / package).rglob("*.py")
)


@cache
def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), path)


@cache
def imports(path: str) -> frozenset[str]:
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
    return frozenset(found)


def page() -> str:
    return (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def room_of(module: str) -> str:
    """The room of a module of a package: a folder, or a file, at its root."""
    return module.split(".")[1] if "." in module else "__init__"


def floors(package: str) -> dict[str, int]:
    """Room -> floor, the lowest 0, as the page lists them; "files" are those it does not name."""
    (listed,) = re.findall(rf"```{package}\n(.*?)```", page(), re.DOTALL)
    lines = listed.strip().splitlines()
    return {room: i for i, line in enumerate(reversed(lines)) for room in line.split(", ")}


def test_there_is_something_to_check():
    assert {"hashret/collection.py", "indexer/writer.py", *PURE} <= set(FILES)


@pytest.mark.parametrize("path", [p for p in FILES if p.startswith("hashret/")])
def test_hashret_never_imports_indexer(path):
    assert not {m for m in imports(path) if m.split(".")[0] == "indexer"}


@pytest.mark.parametrize("package", ["hashret", "indexer"])
def test_rooms_import_downward_only(package):
    """A room knows those of lower floors; not its neighbours on its own floor, and none above."""
    of = floors(package)

    def floor(room: str) -> int:
        assert room in of or f"{package}/{room}.py" in FILES, f"{room} stands on no floor"
        return of[room] if room in of else of["files"]

    for path in FILES:
        here = room_of(path.removesuffix(".py").replace("/", "."))
        if not path.startswith(f"{package}/") or here == "__init__":  # the door knows all
            continue
        for module in imports(path) - {package, f"{package}.__version__"}:
            there = room_of(module)
            is_within = module.split(".")[0] == package and there != here
            if is_within and (path, there) != NAMED_FROM_BELOW:
                both_files = here not in of and there not in of
                assert both_files or floor(here) > floor(there), f"{path} imports {module}"


@pytest.mark.parametrize("package", ["hashret", "indexer"])
def test_every_floor_is_of_rooms_that_are_there(package):
    rooms = {room_of(path.removesuffix(".py").replace("/", ".")) for path in FILES}
    assert floors(package).keys() - {"files"} <= rooms


@pytest.mark.parametrize("path", FILES)
def test_each_third_party_package_has_one_home(path):
    for package, homes in HOMES.items():
        if package in {m.split(".")[0] for m in imports(path)}:
            assert path.startswith(homes), f"{package} is imported in {path}"


def test_every_home_is_lived_in():
    for package, homes in HOMES.items():
        for home in homes:
            of_home = (imports(path) for path in FILES if path.startswith(home))
            assert any(package in {m.split(".")[0] for m in found} for found in of_home), home


@pytest.mark.parametrize("path", FILES)
def test_files_are_opened_in_few_places(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and not path.startswith(READERS):
            called = node.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            owner = (
                called.value.id
                if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name)
                else ""
            )
            # these open collections, LLVM's builder loads from memory, Pillow's images go to a stream
            others = {"Collection", "Snapshot", "builder", "image"}
            if name in OPENERS and owner not in others:
                raise AssertionError(f"{path}:{node.lineno} calls {name}")


@pytest.mark.parametrize("path", PURE)
def test_the_pure_files_use_numpy_only(path):
    roots = {m.split(".")[0] for m in imports(path)}
    assert roots <= sys.stdlib_module_names | {"numpy", "hashret"}
    assert not roots & {"os", "io", "pathlib", "socket", "subprocess"}
    inner = {m for m in imports(path) if m.startswith("hashret.")}
    assert {m.split(".")[1] for m in inner} <= {
        "arguments",
        "codes",
        "measures",
        "errors",
        "sparse",
    }


FOLDERS = sorted({path.rpartition("/")[0] for path in FILES})


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_has_its_lines_in_the_page(folder):
    """A row of the table: the folder, the question it answers, and how."""
    rows = [line.strip("| ").split(" | ") for line in page().splitlines() if line.startswith("| `")]
    said = {name.strip("`/ "): cells for name, *cells in rows}
    assert folder in said, f"{folder}: expected a row"
    assert len([cell for cell in said[folder] if cell.strip()]) >= 2


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_folder_is_a_pile(folder):
    assert len([path for path in FILES if path.rpartition("/")[0] == folder]) <= 18


@pytest.mark.parametrize("path", FILES)
def test_only_one_file_asks_what_layout_features_have(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            asked = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
            assert path == "hashret/sparse.py" or "SparseRows" not in asked, node.lineno


def kinds_compared(source: str) -> list[int]:
    """The lines on which something is compared with the name of a kind of items."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            # `"text" in fields` looks for a key, `kind in ("text",)` asks for the kind
            sides = sides[1:] if isinstance(node.ops[0], ast.In | ast.NotIn) else sides
            inner = [e for s in sides for e in [s, *getattr(s, "elts", [])]]
            found += [node.lineno for e in inner if is_kind(e)]
        elif isinstance(node, ast.MatchValue) and is_kind(node.value):
            found.append(node.value.lineno)
    return found


def is_kind(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in KINDS


@pytest.mark.parametrize(
    "path", [p for p in FILES if p != "hashret/kinds.py" and not p.startswith("hashret/features/")]
)
def test_nobody_asks_for_a_kind_by_its_name(path):
    assert not kinds_compared((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("source", "n"),
    [
        ("kind == 'text'", 1),
        ("'image' != self.kind", 1),
        ("kind in ('text', 'vector')", 1 + 1),
        ("kind not in {'image'}", 1),
        ("match kind:\n  case 'text': pass", 1),
        ("'text' in fields", 0),
        ("KINDS['text'].unknown == 'x'", 0),
    ],
)
def test_how_a_question_of_kind_is_recognised(source, n):
    assert len(kinds_compared(source)) == n


def test_a_kind_is_a_row_of_each_of_these_tables():
    """What a new kind of items touches: its row, its code by the same name, and nothing else."""
    tables: dict[str, set[str]] = {}
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Dict):
                keys = {key.value for key in node.keys if key is not None and is_kind(key)}
                if keys:
                    tables[path] = tables.get(path, set()) | keys
    assert tables.keys() <= {
        "hashret/features/base.py",
        "hashret/cli/payloads.py",
        "indexer/corpus/forms.py",
        "indexer/corpus/arrays/vectors.py",
        "indexer/training/presets.py",
    }
    every = set(KINDS)
    assert set(FEATURIZERS) == set(_GIVEN) == set(PRESETS) == every
    assert {kind for form in FORMS.values() for kind in form.found} == every


def test_every_package_that_is_needed_has_a_home():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [
        *project["dependencies"],
        *extras["documents"],
        *extras["evaluate"],
        *extras["fast"],
        *extras["map"],
        *extras["postgresql"],
        *extras["serve"],
    ]
    names = {re.split(r"[\[>]", one)[0].replace("-", "_") for one in needed} - {"numpy"}
    names = {
        {"faiss_cpu": "faiss", "pillow": "PIL", "python_docx": "docx", "python_pptx": "pptx"}.get(
            name, name
        )
        for name in names
    }
    assert names <= HOMES.keys()


def test_importing_the_door_is_light():
    script = (
        "import sys, hashret, indexer; "
        "print([m for m in ('torch', 'faiss', 'sqlalchemy', 'pyarrow', 'numpy', 'click') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
