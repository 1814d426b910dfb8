"""What a reader and a writer do to a collection, watched: outcome, and what it did besides."""

import importlib
import json
import os
import pkgutil
import resource
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import hashret
from hashret import Collection
from hashret.errors import HashretError
from hashret.outside import machine_cache
from hashret.store.disk.file_systems import MOUNTS
from hashret.store.layout import Layout
from hashret.store.repair import plan as repair
from hashret.workers.pool import Work, each
from indexer import Indexer
from tests.torture.bases import items_of

# Events of the interpreter that mean that data became code, or that another program was asked.
_EXECUTION = (
    *("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn"),
    *("subprocess.Popen", "ctypes.dlopen", "sqlite3.enable_load_extension", "marshal.loads"),
    *("sqlite3.load_extension", "socket.connect", "os.startfile", "cpython.run_command"),
)
_CHANGES = (
    "os.remove",
    "os.rename",
    "os.link",
    "os.symlink",
    "shutil.copyfile",
    "os.rmdir",
    "os.mkdir",
    "os.truncate",
    "shutil.rmtree",
)

_OURS = str(Path(__file__).parents[2])
_SCRATCH = str(Path(tempfile.gettempdir()) / "hashret-")

# As they are opened by whoever deletes them, in the folder above.
_SCRATCH_FOLDERS = ("salvaged", "segments", "models")

_watched: list[str] = []
_root = Path("/nowhere")
_on = False


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if not _on:
        return
    if event in _EXECUTION:
        _watched.append(event)
    elif event in _CHANGES or event == "open":
        try:
            path = os.fsdecode(args[0])
        except TypeError:
            return  # a descriptor
        if event in ("os.remove", "os.rmdir") and args[-1] != -1:
            return  # within a folder that shutil.rmtree was asked for, and that was looked at
        if path.startswith(_SCRATCH) or (event == "open" and path in _SCRATCH_FOLDERS):
            return  # the catalog that `repair` makes
        if event in ("os.rename", "os.link") and _is_outside(os.fsdecode(args[1])):
            _watched.append(f"{event} to {args[1]}")
        if event == "open" and path.startswith((sys.prefix, sys.base_prefix, _OURS)):
            return  # a module, or its source for the text of a warning
        if event == "open" and path in (str(MOUNTS), str(machine_cache.PROCESSORS)):
            return  # asked of the system: is this a network file system, which processor is this?
        if Path(path).is_relative_to(machine_cache.folder()):
            return  # how long searching takes here, which no collection says
        follows = event == "open" and not args[2] & os.O_NOFOLLOW
        if _is_outside(path) or (follows and os.path.islink(path)):  # noqa: PTH114
            _watched.append(f"{event} {path}")


def _is_outside(path: str) -> bool:
    """Whether a name stands outside the collection, by the links on the way to it."""
    if os.path.abspath(path) == str(_root):  # noqa: PTH100
        return False
    folder = os.path.realpath(os.path.dirname(path))  # noqa: PTH120
    return not f"{folder}/".startswith(f"{os.path.realpath(_root)}/")


def opens(fault: str = "") -> Work:
    """The task: [path, kind, verb] to [outcome, events].

    The verb is "read", "write" (nothing), "index", "compact" or "repair".

    The outcome is "answered", or the class and message of the error that a user would see.
    `fault` plants a fault in this process: one of the defences is taken away.
    """
    global _root, _on
    sound = Path(os.environ["HASHRET_SOUND"])
    # every import is made before anybody watches
    for module in pkgutil.walk_packages(hashret.__path__, "hashret."):
        if "kernels" not in module.name:  # these are compiled, which takes a while
            importlib.import_module(module.name)
    for name in ("pyarrow.compute", "numpy.ma"):
        importlib.import_module(name)
    for kind in ("text", "image", "vector"):
        _use(sound / kind, kind)
    if fault:
        from tests.torture import faults

        getattr(faults, fault)()
    sys.addaudithook(_watch)

    def one(asked: list[Any]) -> list[Any]:
        global _root, _on
        path, kind, verb = asked
        _root = Path(path)
        _watched.clear()
        _on = True
        try:
            outcome = _outcome(path, kind, verb)
        finally:
            _on = False
        return [outcome, list(_watched)]

    return each(one)


def _outcome(path: str, kind: str, verb: str) -> str:
    try:
        if verb == "read":
            _use(Path(path), kind)
            return "answered"
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        _write(path, kind, verb)
    except (HashretError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return "opened"


def _write(path: str, kind: str, verb: str) -> None:
    if verb == "repair":
        repair.apply(Layout.find(path))
        return
    with Indexer(path, kind, workers=1) as indexer:
        indexer.remove([])  # a writer cleans up before its first change
        if verb == "index":
            indexer.add([replace(item, id=f"new {item.id}") for item in items_of(kind, 4)])
        if verb != "write":
            indexer.commit()
        if verb == "compact":
            indexer.compact()


def _use(path: Path, kind: str) -> None:
    payload = items_of(kind, 4)[3].payload
    with Collection.open(path) as collection:
        collection.info()
        collection.query(payload, k=3)
        collection.query(payload, k=3, asymmetric=True)
        collection.query(payload, k=3, where="n >= 0 or topic == 'sea'")
        if collection.has_features:
            collection.query(payload, k=3, rerank=20)
        if collection.info()["model"]["decoder"]:
            collection.decode(collection.codes)
        collection.within(payload, radius=32)
        collection.bucket([payload])
        stored = list(collection.items())
        for item in stored:
            json.dumps([item.id, item.metadata, item.preview, item.text])
        ids = [item.id for item in stored]
        for item_id in ids[:1]:
            collection.similar(item_id, k=3)
            collection.get(item_id)
