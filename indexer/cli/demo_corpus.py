"""The demo's corpus, which every machine has: the docstrings of Python's standard library."""

from __future__ import annotations

import ast
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hashret.errors import EmptyCorpusError
from hashret.items import Item
from hashret.workers.refusals import Refused
from indexer.corpus import files
from indexer.corpus.folders.walk import walk
from indexer.corpus.leaving_out import Rules

# Folders that are left out: tests, applications, and packages that were installed.
_LEFT_OUT = frozenset(
    ("test", "tests", "idle_test", "idlelib", "lib2to3", "site-packages", "dist-packages")
)
_MAX_BYTES = 8 << 20  # of a source file; larger ones are left out


def read_docstrings(min_words: int = 8) -> Iterator[Item]:
    """The docstrings with at least `min_words` words, in the order of their source files.

    They belong to the modules, classes, functions and methods of the installed standard library.
    Its sources are parsed with `ast`; nothing is imported. The id is the dotted name, such as
    ``json.dumps``. If a name is defined again (in another branch, or as a property's setter), the
    id ends with ``#2``, ``#3``, .... The metadata are `module`, `kind` ("module", "class",
    "function" or "method") and `name`, the last part of the dotted name.

    Raises EmptyCorpusError if the sources of the library are not installed.
    """
    root = Path(sysconfig.get_path("stdlib"))
    uses: Counter[str] = Counter()
    for path, relative in _sources(root):
        module = relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for qualified, kind, text in _docstrings(_parsed(path), module):
            if len(text.split()) < min_words:
                continue
            uses[qualified] += 1
            item_id = qualified if uses[qualified] == 1 else f"{qualified}#{uses[qualified]}"
            name = module if kind == "module" else qualified.rpartition(".")[2]
            yield Item(item_id, text, {"module": module, "kind": kind, "name": name})
    if not uses:
        raise EmptyCorpusError(
            f"standard library: expected its Python sources in {root}, got none; "
            "install them or index a folder of your own"
        )


def _sources(root: Path) -> Iterator[tuple[Path, str]]:
    for entry in walk(root, Rules(ignore_files=False)):
        if not isinstance(entry, files.Entry) or not entry.relative.endswith(".py"):
            continue
        if _LEFT_OUT.isdisjoint(entry.relative.split("/")):
            yield entry.path, entry.relative


def _parsed(path: Path) -> ast.Module:
    """The syntax tree of a source file; an empty one if it can't be read or parsed."""
    try:
        source = files.read_bytes(path, _MAX_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes such as "\d" in old modules
            return ast.parse(source)
    except (Refused, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])  # the library has files of bad syntax, as tests


def _docstrings(module: ast.Module, name: str) -> Iterator[tuple[str, str, str]]:
    """(dotted name, kind, docstring) of every definition that is not inside a function."""
    text = _docstring(module)
    if text:
        yield name, "module", text
    yield from _definitions(module, name, "function")


def _definitions(
    parent: ast.AST, prefix: str, function_kind: str
) -> Iterator[tuple[str, str, str]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef):
            qualified = f"{prefix}.{node.name}"
            text = _docstring(node)
            if text:
                yield qualified, "class", text
            yield from _definitions(node, qualified, "method")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            text = _docstring(node)
            if text:
                yield f"{prefix}.{node.name}", function_kind, text
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            yield from _definitions(node, prefix, function_kind)


def _docstring(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
) -> str:
    """The docstring without its indentation, "" if there is none."""
    text = ast.get_docstring(node) or ""
    # An escape in a docstring may be half of a surrogate pair, which no catalog can store.
    return text.encode("utf-8", "replace").decode("utf-8")
