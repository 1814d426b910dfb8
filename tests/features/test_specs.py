"""What a spec may say: refused where it is written, and where a model's file says otherwise."""

import dataclasses

import pytest

from hashret import specs
from hashret.errors import DamagedError
from hashret.specs import ImageSpec, TextSpec, VectorSpec


@pytest.mark.parametrize(
    ("spec_class", "fields", "message"),
    [
        (ImageSpec, {"height": 4, "width": 4, "channels": 2}, "channels: expected 3 .*, got 2; "),
        (ImageSpec, {"height": 0}, "height: expected a whole number of 1 or more, got 0; "),
        (ImageSpec, {"width": -8}, "width: expected .*, got -8; "),
        (ImageSpec, {"width": 8.0}, r"width: expected .*, got 8\.0; "),
        (ImageSpec, {"height": True}, "height: expected .*, got True; "),
        (TextSpec, {"vocabulary_size": 0}, "vocabulary_size: expected .* 1 or more, got 0; "),
        (TextSpec, {"vocabulary_size": -1}, "vocabulary_size: expected .*, got -1; "),
        (TextSpec, {"min_documents": -1}, "min_documents: expected .* 0 or more, got -1; "),
        (TextSpec, {"max_share": 0.0}, r"max_share: expected above 0 .*, got 0\.0; "),
        (TextSpec, {"max_share": 1.5}, r"max_share: expected above 0 .*, got 1\.5; "),
        (TextSpec, {"max_share": float("nan")}, "max_share: expected above 0 .*, got nan; "),
        (VectorSpec, {"n_features": -1}, "n_features: expected .* 0 or more, got -1; "),
        (VectorSpec, {"metric": "dot"}, "metric: expected cosine or euclidean, got 'dot'"),
        (VectorSpec, {"packed": True, "n_features": 12}, "n_features: expected a multiple of 8"),
        (VectorSpec, {"packed": True, "metric": "euclidean"}, "metric: expected none with packed"),
        (VectorSpec, {"packed": 1}, "packed: expected True or False, got 1"),
    ],
)
def test_what_no_features_can_be_made_by_is_refused(spec_class, fields, message):
    with pytest.raises(ValueError, match=message):
        spec_class(**fields)
    json = {"kind": spec_class.kind, **dataclasses.asdict(spec_class()), **fields}
    with pytest.raises(DamagedError, match=r"model: .*; train it again"):
        specs.from_json(json)


@pytest.mark.parametrize(
    "spec",
    [
        TextSpec(vocabulary_size=1, min_documents=0, max_share=1.0),
        TextSpec(max_share=1),
        ImageSpec(1, 1, 1),
        VectorSpec(),
        VectorSpec(768, "euclidean"),
        VectorSpec(768, packed=True),
    ],
)
def test_what_is_at_the_edge_is_taken_and_read_again(spec):
    assert specs.from_json(specs.to_json(spec)) == spec
