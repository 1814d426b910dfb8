"""P2: what a disk may hold after a power loss, built from the log of a writer's calls.

Strict: data is durable after a sync of its file, a name after a sync of its folder, and nothing
before. At the loss, unsynced writes are each dropped, kept, torn or zeroed, and of a folder's unsynced
changes any first part is kept, in order, as on journalling file systems.
"""

import random
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HOW = ("drop", "keep", "mix")


@dataclass(slots=True)
class Call:
    op: str
    path: str
    offset: int
    data: bytes


@dataclass(slots=True)
class Node:
    """A file's durable bytes and the writes since, or a folder's durable names and changes since."""

    is_folder: bool
    data: bytes = b""
    names: dict[str, "Node"] = field(default_factory=dict)  # durable
    now: dict[str, "Node"] = field(default_factory=dict)  # as the process sees it
    pending: list = field(default_factory=list)


def read_log(path: Path) -> list[Call]:
    data, at, calls = path.read_bytes(), 0, []
    while at < len(data):
        op = chr(data[at])
        n, offset, size = struct.unpack_from("3q", data, at + 1)
        at += 25
        name = data[at : at + n].decode()
        calls.append(Call(op, name, offset, data[at + n : at + n + size]))
        at += n + size
    return calls


class Disk:
    """One file system under `root`, seen by a process and by a power loss."""

    def __init__(self, root: Path, base: Path | None):
        self.root = str(root)
        self.top = Node(True)
        self.acknowledged = False
        if base is not None:
            self.top.names[root.name] = self.top.now[root.name] = _load(base)

    def _at(self, path: str) -> tuple[Node, str]:
        parent = self.root.rsplit("/", 1)[0]
        parts = path.removeprefix(parent).strip("/").split("/")
        node = self.top
        for part in parts[:-1]:
            node = node.now[part]
        return node, parts[-1]

    def _node(self, path: str) -> Node:
        if path == self.root.rsplit("/", 1)[0]:
            return self.top
        folder, name = self._at(path)
        return folder.now[name]

    def take(self, call: Call) -> None:
        """One call of the log."""
        if call.op == "A":
            self.acknowledged = True
        elif call.op in "CM":
            folder, name = self._at(call.path)
            folder.now[name] = made = Node(call.op == "M")
            folder.pending.append({name: made})
        elif call.op in "UD":
            folder, name = self._at(call.path)
            del folder.now[name]
            folder.pending.append({name: None})
        elif call.op == "R":
            folder, name = self._at(call.path)
            target, new = self._at(call.data.decode())
            assert folder is target
            folder.now[new] = node = folder.now.pop(name)
            folder.pending.append({name: None, new: node})
        elif call.op in "WT":
            self._node(call.path).pending.append(call)
        elif call.op == "S":
            node = self._node(call.path)
            for change in node.pending:
                if node.is_folder:
                    _rename(node.names, change)
                else:
                    node.data = _written(node.data, change)
            node.pending.clear()

    def lose_power(self, to: Path, how: str, rng: random.Random) -> None:
        """Write what the disk may hold to the folder `to`, which stands for the root's parent."""
        shutil.rmtree(to, ignore_errors=True)
        _save(self.top, to, how, rng)


def _load(path: Path) -> Node:
    if path.is_dir():
        found = {entry.name: _load(entry) for entry in path.iterdir()}
        return Node(True, names=dict(found), now=dict(found))
    return Node(False, path.read_bytes())


def _rename(names: dict[str, Node], change: dict[str, Node | None]) -> None:
    for name, node in change.items():
        names.pop(name, None)
        if node is not None:
            names[name] = node


def _written(data: bytes, call: Call) -> bytes:
    if call.op == "T":
        return data[: call.offset].ljust(call.offset, b"\0")
    start = data[: call.offset].ljust(call.offset, b"\0")
    return start + call.data + data[call.offset + len(call.data) :]


def _save(node: Node, to: Path, how: str, rng: random.Random) -> None:
    if node.is_folder:
        names = dict(node.names)
        kept = {"drop": 0, "keep": len(node.pending)}.get(how, rng.randint(0, len(node.pending)))
        for change in node.pending[:kept]:
            _rename(names, change)
        to.mkdir(parents=True)
        for name, child in names.items():
            _save(child, to / name, how, rng)
        return
    data = node.data
    for call in node.pending:
        fate = {"drop": "drop", "keep": "keep"}.get(how) or rng.choice(
            ("drop", "keep", "torn", "zero")
        )
        if fate == "torn":
            call = Call(
                call.op, call.path, call.offset, call.data[: rng.randint(0, len(call.data))]
            )
        elif fate == "zero":
            call = Call(call.op, call.path, call.offset, bytes(len(call.data)))
        if fate != "drop":
            data = _written(data, call)
    to.write_bytes(data)


def states(
    calls: list[Call],
    root: Path,
    base: Path | None,
    to: Path,
    count: int,
    seed: int,
    stride: int = 1,
) -> Iterator[bool]:
    """At least `count` states at `to`, spread over the whole log; yields whether acknowledged.

    With a stride, only after every so many calls, begun at the seed's, and after the last one.
    """
    rng = random.Random(seed)
    each = max(1, -(-count * stride // (len(calls) + 1)))
    disk = Disk(root, base)
    for at, call in enumerate([None, *calls]):
        if call is not None:
            disk.take(call)
        if at % stride != seed % stride and at < len(calls):
            continue
        for turn in range(each):
            disk.lose_power(to, HOW[turn] if turn < 2 and each > 2 else rng.choice(HOW), rng)
            yield disk.acknowledged


def last_states(
    calls: list[Call], root: Path, base: Path | None, to: Path, count: int, seed: int
) -> Iterator[bool]:
    """`count` states after the last call: most of what a sync is for shows there."""
    rng = random.Random(seed)
    disk = Disk(root, base)
    for call in calls:
        disk.take(call)
    for turn in range(count):
        disk.lose_power(to, HOW[turn] if turn < 2 else "mix", rng)
        yield disk.acknowledged
