"""What the model of a commit says of codes, and of payloads with noise; no search needs it.

That is by its decoder and its denoiser (`Snapshot.decoder`, `Snapshot.denoiser`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hashret.arguments import require_flag, require_number, whole
from hashret.codes import Codes
from hashret.decoders.generating import Generated, new_codes, sampled
from hashret.errors import CollectionError
from hashret.items import Id, id_of
from hashret.kinds import kind_of
from hashret.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from hashret.features.base import Denoises


def decoded(
    snapshot: Snapshot, codes: Codes, drawn: np.random.Generator | None = None
) -> list[Any] | np.ndarray:
    """What each of the codes says, as `Featurizer.restored` shows it.

    With a generator, what it could be of: drawn around that. Raises what `Snapshot.decoder` raises,
    and ValueError for codes of another length.
    """
    decoder = snapshot.decoder
    features = decoder.decode(codes)
    if drawn is not None:
        features = sampled(decoder, features, drawn)
    return snapshot.coder.featurizer.restored(features, decoder.usual)


def generated(
    snapshot: Snapshot,
    n: int | None,
    *,
    near: Id | None,
    between: tuple[Id, Id] | None,
    seed: int,
    sample: bool,
) -> Generated:
    """Codes that no item need have, and what they say; see `Collection.generate`."""
    if n is not None and whole("n", n) < 1:
        raise ValueError(f"n: expected at least 1, got {n}; leave it out")
    require_flag("sample", sample)
    if near is not None and between is not None:
        raise ValueError("near: expected none beside between; leave one out")
    if between is not None and (not isinstance(between, tuple | list) or len(between) != 2):
        raise ValueError(f"between: expected two ids, got {between!r:.80}; give both")
    if whole("seed", seed) < 0:
        raise ValueError(f"seed: expected 0 or more, got {seed}; choose another")
    rng = np.random.default_rng(seed)
    if not len(snapshot.codes):
        raise CollectionError(
            f"{snapshot.layout.root}: expected items with a code, got none; add some"
        )
    codes = new_codes(
        snapshot.codes,
        n,
        near=None if near is None else snapshot.code_of(id_of(near)),
        between=None if between is None else [snapshot.code_of(id_of(one)) for one in between],
        rng=rng,
    )
    return Generated(codes, decoded(snapshot, codes, rng if sample else None))


def noise_of(snapshot: Snapshot, payload: Any) -> float:
    """The noise of an image or of vectors, estimated; see `Collection.noise_of`."""
    denoiser = snapshot.denoiser
    return cast("Denoises", snapshot.coder.featurizer).noise_of(payload, denoiser)


def denoised(snapshot: Snapshot, payload: Any, noise: float | None) -> np.ndarray:
    """An image or vectors without noise; see `Collection.denoise`."""
    if noise is not None:
        require_number("noise", noise)
        if not 0.0 <= noise < np.inf:
            raise ValueError(f"noise: expected 0 or more, got {noise}; pass a finite number")
    denoiser = snapshot.denoiser
    featurizer = cast("Denoises", snapshot.coder.featurizer)
    if noise is None:
        noise = featurizer.noise_of(payload, denoiser)
    return featurizer.denoised(payload, denoiser, noise)


def form_of(snapshot: Snapshot) -> str:
    """What codes of a collection say, as its key in JSON: words, pixels, vector or series."""
    outputs = snapshot.decoder.spec.outputs
    if kind_of(snapshot.kind).stores_images:
        return "pixels"
    return {"words": "words", "steps": "series"}.get(outputs, "vector")
