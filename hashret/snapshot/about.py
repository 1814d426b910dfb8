"""What is there to say of a commit, and of the model that its codes are from? As JSON values."""

from __future__ import annotations

from typing import Any

from hashret.errors import DamagedError
from hashret.snapshot.snapshot import Snapshot
from hashret.store.catalog.opening import open_catalog


def about_collection(snapshot: Snapshot, index: str, address: str | None) -> dict[str, Any]:
    """What the collection is: items, bits, commit, model, bytes; `index` is how it is searched.

    `address` is that of the catalog's server, where it is another than the collection records.
    """
    with open_catalog(snapshot.layout, address=address) as catalog:
        place, size = catalog.place, catalog.n_bytes()
    return {
        "kind": snapshot.kind,
        "n_items": len(snapshot),
        "uncoded": snapshot.committed.n_uncoded,
        "n_bits": snapshot.model.n_bits if snapshot.model else None,
        "commit": snapshot.commit,
        "committed_at": snapshot.committed.created_at,
        "model": about_model(snapshot),
        "index": index,
        "catalog": place,
        "folders": [folder.path for folder in snapshot.folders],
        "bytes": {"catalog": size, **snapshot.layout.sizes()},
    }


def about_model(snapshot: Snapshot) -> dict[str, Any] | None:
    """The model's name, what it was made of and from; None without a model."""
    if snapshot.model is None:
        return None
    about = snapshot.description
    try:
        features = about["features"]
        made_with = {"packed_bits": True} if features.get("packed") else {}
        made_with |= {"passages": about["passages"]} if "passages" in about else {}
        return {
            "name": snapshot.model.name,
            "features": features["kind"],
            **made_with,
            "encoder": about["encoder"]["kind"],
            "n_features": int(snapshot.spec("encoder").n_features),
            "preset": about["training"]["options"]["preset"],
            "trained_on": about["training"]["n_items"],
            "decoder": snapshot.model.has_decoder,
            **({"labels": labels} if (labels := labels_learned(snapshot)) else {}),
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedError(
            f"{snapshot.layout.root}: expected a description of the model, got one without "
            f"{error}; train it again"
        ) from error


def labels_learned(snapshot: Snapshot) -> str | None:
    """The metadata field whose values the model has learned from, as labels; None if none."""
    training = snapshot.description.get("training", {})
    return training["options"].get("label") if training.get("n_labelled") else None
