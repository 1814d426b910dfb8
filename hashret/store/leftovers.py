"""What stands in a collection's folders and no row of its catalog names.

Some of it a writer left that was killed: that is told by its name, and the next writer deletes it.
The rest is somebody else's (what a file manager leaves, a link, a pipe): no writer touches it but
to move it out of the way of its own names, and `repair` puts it aside.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from hashret.store.disk.aside import move, moves_aside
from hashret.store.disk.refusals import plainly
from hashret.store.disk.untrusted import is_file, is_folder
from hashret.store.layout import MODEL_FILES, MODEL_NAME, SEGMENT_NAME, Layout, entries

_HALF_SEGMENT = re.compile(r".*\.(npy|arrow|safetensors)\.tmp")
_HALF_WRITTEN = {f"{name}.tmp" for name in MODEL_FILES}
_CHECKPOINT = re.compile(r".*\.checkpoint(\.tmp)?")


def delete_unnamed(layout: Layout, segments: Collection[str], models: Collection[str]) -> None:
    """Delete what writers left beside these segments and models, which the catalog names.

    What stands under a name of theirs and is of no writer is moved aside (`store.disk.aside`).
    """
    with plainly(layout.root, "clean up"):
        in_the_way = list(_deleted(layout, segments, models))
    move(layout.root, moves_aside(layout.root, in_the_way))


def _deleted(layout: Layout, segments: Collection[str], models: Collection[str]) -> Iterator[Path]:
    """Delete it; what stands in the way is given."""
    for path in layout.segments.iterdir():
        if _is_of_a_writer(path.name) and not _is_of(path, segments):
            if is_file(path):
                path.unlink()
            else:
                yield path
    for path in layout.models.iterdir():
        is_left = MODEL_NAME.fullmatch(path.name) and path.name not in models
        if is_left and not (is_folder(path) and _delete_model(path)):
            yield path


def _is_of_a_writer(name: str) -> bool:
    return bool(SEGMENT_NAME.fullmatch(name) or _HALF_SEGMENT.fullmatch(name))


def _is_of(path: Path, segments: Collection[str]) -> bool:
    found = SEGMENT_NAME.fullmatch(path.name)
    return found is not None and found[1] in segments


def _delete_model(folder: Path) -> bool:
    """Delete a model and its folder; False where something else stands in that."""
    for path in folder.iterdir():
        if path.name in _HALF_WRITTEN.union(MODEL_FILES) and is_file(path):
            path.unlink()
    if any(folder.iterdir()):
        return False
    folder.rmdir()
    return True


def foreign(layout: Layout, segments: Collection[str], models: Collection[str]) -> list[Path]:
    """What is neither the catalog's nor a writer's in the folders of a collection, by name.

    `segments` and `models` are those that the catalog names. The collection's folder itself may
    hold anything beside it.
    """
    return sorted(_foreign(layout, segments, models))


def _foreign(layout: Layout, segments: Collection[str], models: Collection[str]) -> Iterator[Path]:
    for path in entries(layout.segments):
        is_left = _is_of_a_writer(path.name) and is_file(path)
        if not is_left and not _is_of(path, segments):
            yield path
    for path in entries(layout.models):
        if is_folder(path) and (path.name in models or MODEL_NAME.fullmatch(path.name)):
            yield from filter(_is_beside_a_model, path.iterdir())
        elif path.name not in models:
            yield path
    for path in entries(layout.unfinished):
        if not (_CHECKPOINT.fullmatch(path.name) and is_file(path)):
            yield path


def _is_beside_a_model(path: Path) -> bool:
    is_left = path.name in _HALF_WRITTEN and is_file(path)
    return not is_left and path.name not in MODEL_FILES
