"""A real corpus that every machine has: the docstrings of Python's own standard library."""

from __future__ import annotations

import ast
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hashret.errors import EmptyCorpusError
from hashret.items import Item
from indexer.corpus import files
from indexer.refusals import Refused

_LEFT_OUT = frozenset(
    ("test", "tests", "idle_test", "idlelib", "lib2to3", "site-packages", "dist-packages")
)
_MAX_BYTES = 8 << 20


def read_docstrings(min_words: int = 8) -> Iterator[Item]:
    """The docstrings of `min_words` words or more, in the order of their source files.

    They are those of the modules, classes, functions and methods of the installed standard
    library, read from its sources with `ast`; nothing is imported. An id is the dotted name, as
    in ``json.dumps``, and from its second use on (branches that define a name twice, property
    setters) carries ``#2``, ``#3``, .... Metadata: `module`, `kind` ("module", "class",
    "function" or "method") and `name`, the last part of the id.
    Raises EmptyCorpusError where the library's sources are not installed.
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
    for entry in files.walk(root):
        if not isinstance(entry, files.Entry) or not entry.relative.endswith(".py"):
            continue
        if _LEFT_OUT.isdisjoint(entry.relative.split("/")):
            yield entry.path, entry.relative


def _parsed(path: Path) -> ast.Module:
    try:
        source = files.read_bytes(path, _MAX_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes such as "\d" in old modules
            return ast.parse(source)
    except (Refused, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])  # a file of bad syntax, kept for its tests


def _docstrings(module: ast.Module, name: str) -> Iterator[tuple[str, str, str]]:
    """(dotted name, kind, cleaned docstring) of everything that stands outside functions."""
    text = _docstring(module)
    if text:
        yield name, "module", text
    yield from _of_body(module, name, "function")


def _of_body(parent: ast.AST, prefix: str, function_kind: str) -> Iterator[tuple[str, str, str]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef):
            qualified = f"{prefix}.{node.name}"
            text = _docstring(node)
            if text:
                yield qualified, "class", text
            yield from _of_body(node, qualified, "method")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            text = _docstring(node)
            if text:
                yield f"{prefix}.{node.name}", function_kind, text
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            yield from _of_body(node, prefix, function_kind)


def _docstring(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
) -> str:
    text = ast.get_docstring(node) or ""
    # A docstring can write half of a surrogate pair as an escape, which no catalog can hold.
    return text.encode("utf-8", "replace").decode("utf-8")
