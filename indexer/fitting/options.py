"""Which options is a model learned with? Those given, completed by its features and the former one.

What can't be learned with is refused before anything is read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hashret.arguments import require_instance, whole
from hashret.coder import Coder
from hashret.errors import InputError
from hashret.features.base import Featurizer
from hashret.specs import VectorSpec
from hashret.specs.encoders import PatchSpec

if TYPE_CHECKING:
    from indexer.training import TrainingOptions


def require_learnable(
    kind: str, options: TrainingOptions | None, spec: Any, max_items: int
) -> None:
    """Raise TypeError or ValueError for what `learn` can't take."""
    from indexer.training.options import TrainingOptions
    from indexer.training.presets import preset_for, require_used

    if options is not None:
        require_instance("options", options, TrainingOptions)
        if options.invariant:
            require_used(kind, replace(options, preset=preset_for(kind, options.preset)))
    if whole("max_items", max_items) < 1:
        raise ValueError(f"max_items: expected at least 1, got {max_items}; pass a greater one")
    if spec is not None and getattr(spec, "kind", None) != kind:
        raise TypeError(
            f"spec: expected that of features of {kind} items, got {type(spec).__name__}; "
            "pass one of hashret.specs, or leave it out"
        )


def with_former(
    options: TrainingOptions | None, former: Coder | None, kind: str
) -> TrainingOptions | None:
    """The options of a new model, which keeps to what the codes of the former one ignore.

    That is `TrainingOptions.invariant`, unless the options say it themselves. Raises InputError for
    a preset that can't ignore it.
    """
    from indexer.training.options import TrainingOptions
    from indexer.training.presets import preset_for, require_used

    spec = None if former is None else former.encoder.spec
    if not isinstance(spec, PatchSpec) or not spec.invariant:
        return options
    options = options or TrainingOptions()
    if options.invariant is not None:
        return options
    options = replace(options, invariant=spec.invariant)
    try:
        require_used(kind, replace(options, preset=preset_for(kind, options.preset)))
    except ValueError as error:
        raise InputError(
            f"{error}. The former model ignored it; `--invariant none` ends that"
        ) from error
    return options


def options_for(featurizer: Featurizer, options: TrainingOptions | None) -> TrainingOptions:
    """The options given, or the default ones; for packed bits these take the bits as they are."""
    from indexer.training.options import AS_GIVEN, TrainingOptions

    spec = featurizer.spec
    if not (isinstance(spec, VectorSpec) and spec.packed):
        return options or TrainingOptions()
    if options is None:
        return TrainingOptions(n_bits=spec.n_features, preset=AS_GIVEN)
    is_given = options.preset is None and options.n_bits == spec.n_features
    return replace(options, preset=AS_GIVEN) if is_given else options
