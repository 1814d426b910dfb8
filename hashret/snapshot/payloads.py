"""What does a collection keep of an item's payload, that its code can be made of again?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from hashret.kinds import kind_of
from hashret.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from hashret.features.centred import CentredFeaturizer


def kept_payload(snapshot: Snapshot, row: int) -> Any:
    """The text of a row, or the small image, as the model's featurizer takes it; None if not kept.

    Raises `DamagedError`.
    """
    if kind_of(snapshot.kind).stores_texts:
        return snapshot.text_of(row)
    with snapshot.folder.reading():
        data = snapshot.items.record(row).payload
    featurizer = cast("CentredFeaturizer[Any]", snapshot.coder.featurizer)
    return None if data is None else featurizer.kept(data)
