"""Learning from what a collection holds: no source is needed, and the codes are as with one."""

import io
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from hashret import Collection
from hashret.errors import CollectionError, DamagedError, InputError, PayloadError
from hashret.features.image import ImageFeaturizer
from hashret.features.kept import SIDE, image_of, vector_of
from hashret.features.levels import Means, means_of
from hashret.features.vector import VectorFeaturizer
from hashret.items import Item
from hashret.specs import ImageSpec, TextSpec, VectorSpec
from hashret.store.layout import Layout
from hashret.store.repair import plan as repair
from indexer import Indexer
from indexer.cli import main
from indexer.ingest import intake, segments, stored_source
from indexer.training.options import Multiples, TrainingOptions
from tests.corpora import orders
from tests.torture.bases import items_of, quick
from tests.torture.resuming import state
from tests.training.recipes import change_all


def small(kind, seed=0):
    """Options by which little is learned; of images without a dictionary of patches."""
    return replace(quick(kind, seed), preset="dense" if kind == "image" else None)


OPTIONS = {kind: small(kind) for kind in ("text", "image", "vector", "sequence")}


@pytest.fixture(autouse=True)
def little_training(monkeypatch):
    change_all(monkeypatch, least_steps=2, epochs=1, pretrain_epochs=1, pair_steps=2)


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def drawn(n, height, width, channels, seed=0):
    """Random images of few colours, as arrays."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 3, 4, channels), np.uint8)
    rows, columns = np.arange(height) * 3 // height, np.arange(width) * 4 // width
    return coarse[:, rows[:, None], columns]


def images(form):
    """24 images of one form, in which a user may have them."""
    if form == "grey arrays of their own size":
        pixels = list(drawn(24, 20, 16, 1)[..., 0])
    elif form == "files larger than what is seen":
        pixels = [png(one) for one in drawn(24, 70, 45, 3)]
    elif form == "sixteen bits":
        pixels = [one[..., 0].astype(np.uint16) * 16 for one in drawn(24, 40, 40, 1)]
    elif form == "floats":
        pixels = [one / 255.0 for one in drawn(24, 24, 50, 3)]
    else:  # small and large, grey and in colours, of several types
        small, large = drawn(12, 20, 16, 1)[..., 0], drawn(12, 50, 70, 3)
        pixels = [*small[:6], *[png(one) for one in small[6:]]]
        pixels += [*[Image.fromarray(one) for one in large[:6]], *[png(one) for one in large[6:]]]
    return [Item(f"i-{n:02}", one, {"n": n}) for n, one in enumerate(pixels)]


FORMS = [
    "grey arrays of their own size",
    "files larger than what is seen",
    "sixteen bits",
    "floats",
    "of everything",
]
VECTORS = items_of("vector", 40)
BITS = [
    Item(f"b-{n}", np.packbits(one.payload > 0).astype(kind), {})
    for n, (one, kind) in enumerate(zip(VECTORS, [np.uint8, np.int64] * 20, strict=True))
]


def indexed(path, kind, items, spec=None, **how):
    """As `hashret index` does it: first learned from the items, then added."""
    with Indexer(path, kind, workers=1, **how) as indexer:
        indexer.fit(items, OPTIONS[kind], spec=spec)
        indexer.add(items)
        indexer.commit()
    return codes(path)


def added_first(path, kind, items, spec=None, **how):
    """Added in two commits, and learned from what is there."""
    for part in (items[:15], items[15:]):
        with Indexer(path, kind, workers=1, **how) as indexer:
            tally = indexer.add(part)
            assert (tally.added, tally.uncoded) == (len(part), len(part))
            assert indexer.commit().model is None
    with Collection.open(path) as collection:
        assert collection.info()["uncoded"] == len(items)
        assert collection.get(items[3].id).metadata == items[3].metadata
    with Indexer(path, kind, workers=1, **how) as indexer:
        indexer.fit(options=OPTIONS[kind], spec=spec)
        assert indexer.tally.encoded_again == len(items)
        indexer.commit()
    return codes(path)


def codes(path):
    with Collection.open(path) as collection:
        return {item.id: item.code for item in collection.items()}


@pytest.mark.parametrize(
    ("spec", "items"),
    [
        (None, VECTORS),
        (VectorSpec(metric="euclidean"), VECTORS),
        (VectorSpec(packed=True), BITS),
        (None, [Item(i.id, i.payload.astype(np.float64) / 3, {}) for i in VECTORS]),
    ],
    ids=["cosine", "euclidean", "bits", "float64"],
)
@pytest.mark.parametrize("store_features", [False, True])
def test_vectors_can_be_added_before_anything_is_learned(tmp_path, spec, items, store_features):
    how = {"spec": spec, "store_features": store_features}
    expected = indexed(tmp_path / "first", "vector", items, **how)
    assert len(set(expected.values())) > 3
    assert added_first(tmp_path / "then", "vector", items, **how) == expected
    with Indexer(tmp_path / "then", workers=1) as indexer:
        assert indexer.add(items).unchanged == len(items)


@pytest.mark.parametrize("form", FORMS)
def test_images_can_be_added_before_anything_is_learned(tmp_path, form):
    items = images(form)
    expected = indexed(tmp_path / "first", "image", items)
    assert len(set(expected.values())) > 3
    assert added_first(tmp_path / "then", "image", items) == expected
    with Indexer(tmp_path / "then", workers=1) as indexer:
        assert indexer.add(items).unchanged == len(items)
    with Collection.open(tmp_path / "then") as collection:  # a stored image finds itself
        assert collection.query(items[20].payload, k=1)[0].distance == 0


@pytest.mark.parametrize(
    ("kind", "items", "spec", "how"),
    [
        ("vector", VECTORS, None, {"store_features": True}),
        ("vector", VECTORS, VectorSpec(metric="euclidean"), {"store_features": True}),
        ("vector", BITS, VectorSpec(packed=True), {"store_features": True}),
        ("image", images("of everything"), None, {"store_images": True}),
        ("text", items_of("text", 40), None, {"store_text": False}),
        ("sequence", items_of("sequence", 40), None, {}),
        ("sequence", [Item(str(i), one) for i, one in enumerate(orders(40))], None, {}),
    ],
    ids=["cosine", "euclidean", "bits", "images", "texts by their features", "series", "tokens"],
)
def test_retraining_needs_no_source(tmp_path, kind, items, spec, how):
    path, other = tmp_path / "c", tmp_path / "other"
    indexed(path, kind, items, spec, **how)
    indexed(other, kind, items, spec, **how)
    options = small(kind, seed=5)
    with Indexer(path, workers=1) as indexer:
        indexer.compact()
        indexer.fit(options=options)
        assert indexer.tally.encoded_again == len(items)
        indexer.commit()
    with Indexer(other, workers=1) as indexer:
        indexer.fit(items, options, spec=spec)
        indexer.add(items)
        indexer.commit()
    assert codes(path) == codes(other)
    with Collection.open(path) as collection:
        for item in items[::7]:
            assert collection.query(item.payload, k=1)[0].distance == 0
    with Indexer(path, workers=1) as indexer:
        assert indexer.add(items).unchanged == len(items)


def test_the_command_needs_no_source(tmp_path):
    indexed(tmp_path / "c", "vector", VECTORS, store_features=True)
    told = CliRunner().invoke(main, ["retrain", str(tmp_path / "c"), "--bits", "24", "-q"])
    assert told.exit_code == 0, told.output
    assert f"encoded {len(VECTORS)} items again" in told.output
    assert told.output.count("too few to learn") == 1
    assert {len(code) for code in codes(tmp_path / "c").values()} == {6}


@pytest.mark.parametrize(
    ("before", "said", "expected"),
    [
        ({}, [], (24, "towers", 2, 1.0)),
        ({}, ["--bits", "16"], (16, "towers", 2, 1.0)),
        ({"preset": "dense"}, [], (24, "dense", 2, 1.0)),
        ({"preset": "dense", "multiples": Multiples(noise=2.0)}, [], (24, "dense", 2, 2.0)),
        ({"preset": "dense"}, ["--preset", "dense"], (24, "dense", 2, 1.0)),
        (
            {"preset": "dense", "multiples": Multiples(noise=2.0)},
            ["--preset", "towers"],
            (24, "towers", None, 1.0),
        ),
    ],
)
def test_what_the_command_does_not_say_stays_as_it_was(tmp_path, before, said, expected):
    path = tmp_path / "c"
    with Indexer(path, "vector", store_features=True, workers=1) as indexer:
        indexer.fit(VECTORS, TrainingOptions(n_bits=24, epochs=2, **before))
        indexer.add(VECTORS)
        indexer.commit()
    told = CliRunner().invoke(main, ["retrain", str(path), "-q", *said])
    assert told.exit_code == 0, told.output
    with Indexer(path) as indexer:
        made = indexer.description["training"]["options"]
    assert (
        made["n_bits"],
        made["preset"],
        made["epochs"],
        made["multiples"]["noise"],
    ) == expected


def test_what_the_preset_before_cannot_do_is_said_in_terms_of_the_command(tmp_path):
    indexed(tmp_path / "c", "image", images("of everything"), store_images=True)  # preset dense
    told = CliRunner().invoke(main, ["retrain", str(tmp_path / "c"), "--invariant", "mirror"])
    assert told.exit_code == 2
    assert "--invariant: expected none with the preset 'dense'" in told.output


def test_by_stored_features_a_vocabulary_stays_as_it_was(tmp_path):
    items, notes = items_of("text", 40), []
    indexed(tmp_path / "c", "text", items, store_text=False)
    with Indexer(tmp_path / "c", on_note=notes.append) as indexer:
        indexer.add([Item("odd", "xylophone zither", {}), Item("even", "xylophone zither", {})])
        indexer.fit(options=OPTIONS["text"])
        assert indexer.commit().n_uncoded == 2
        with pytest.raises(CollectionError, match="of which the features are stored"):
            indexer.fit(options=OPTIONS["text"], spec=TextSpec(vocabulary_size=5))
    assert any("stays as it is" in note for note in notes)


@pytest.mark.parametrize(
    ("kind", "how", "option"),
    [
        ("vector", {}, "--store-features"),
        ("image", {}, "--store-images"),
        ("text", {"store_text": False, "store_features": False}, "--store-text"),
        ("sequence", {"store_features": False}, "--store-features"),
    ],
)
def test_what_cannot_be_learned_from_is_said_with_what_to_do(tmp_path, kind, how, option):
    indexed(tmp_path / "c", kind, items_of(kind, 24), **how)
    before = codes(tmp_path / "c")
    told = CliRunner().invoke(main, ["retrain", str(tmp_path / "c")])
    assert told.exit_code == 1
    assert (
        f"give the source again, as `hashret index SOURCE --retrain {option}` does" in told.output
    )
    assert codes(tmp_path / "c") == before


def test_images_are_stored_of_images_only_and_from_then_on(tmp_path):
    with pytest.raises(InputError, match="store_images: expected a collection of images"):
        Indexer(tmp_path / "c", "vector", store_images=True)
    assert not (tmp_path / "c").exists()
    with pytest.raises(TypeError, match="store_images"):
        Indexer(tmp_path / "c", "image", store_images="yes")
    items = images("of everything")
    indexed(tmp_path / "c", "image", items[:20], store_images=True)
    with Indexer(tmp_path / "c", workers=1) as indexer:
        assert indexer.keeps_images is True
        indexer.add(items[20:])
        indexer.commit()
        indexer.compact()
        indexer.fit(options=OPTIONS["image"])
        assert indexer.commit().n_uncoded == 0
        assert indexer.keeps_images is True


def test_the_command_stores_images_of_all_or_none(tmp_path):
    indexed(tmp_path / "c", "image", images("grey arrays of their own size"), store_images=True)
    (tmp_path / "new.png").write_bytes(png(drawn(1, 20, 16, 1)[0, ..., 0]))
    command = ["index", str(tmp_path / "new.png"), "--to", str(tmp_path / "c")]
    for dry in ([], ["--dry-run"]):
        told = CliRunner().invoke(main, [*command, "--no-store-images", *dry])
        assert told.exit_code == 1
        assert "stores images; --no-store-images needs --retrain" in told.output
    assert CliRunner().invoke(main, [*command, "--store-images", "-q"]).exit_code == 0
    told = CliRunner().invoke(main, ["retrain", str(tmp_path / "c"), "--preset", "dense", "-q"])
    assert "encoded 25 items again" in told.output


def test_what_the_new_model_cannot_take_stays_without_a_code(tmp_path):
    odd, notes = Item("odd", np.ones(7, np.float32), {"n": -1}), []
    with Indexer(tmp_path / "c", "vector", store_features=True, on_note=notes.append) as indexer:
        indexer.add([odd, *VECTORS])
        for _ in range(2):
            indexer.fit(options=OPTIONS["vector"])
            commit = indexer.commit()
            assert (commit.n_items, commit.n_uncoded) == (len(VECTORS) + 1, 1)
            indexer.compact()
    assert any("expected 24 numbers, got shape (7,)" in note for note in notes)
    with Collection.open(tmp_path / "c") as collection:
        assert collection.get("odd").metadata == {"n": -1}
    with Indexer(tmp_path / "c", workers=1) as indexer:
        assert indexer.add([odd, *VECTORS]).unchanged == len(VECTORS) + 1


def test_what_no_model_could_take_is_refused_when_it_is_added(tmp_path):
    bad = [np.ones((2, 3)), np.zeros(4), np.array([1.0, np.nan]), "text", [[1], [2, 3]], None]
    with Indexer(tmp_path / "v", "vector") as indexer:
        tally = indexer.add([Item(str(n), one, {}) for n, one in enumerate(bad)])
        assert (tally.added, tally.n_skipped) == (0, len(bad))
    with Indexer(tmp_path / "i", "image", workers=1) as indexer:
        tally = indexer.add([Item("a", b"no image", {}), Item("b", tmp_path / "none.png", {})])
        assert (tally.added, tally.n_skipped) == (0, 2)


def test_pending_items_are_replaced_removed_compacted_and_rescued(tmp_path):
    path, expected = tmp_path / "c", indexed(tmp_path / "d", "vector", VECTORS[1:])
    with Indexer(path, "vector", workers=1) as indexer:
        indexer.add([Item(VECTORS[1].id, np.ones(24), {}), VECTORS[0]])
        indexer.commit()
        assert indexer.add(VECTORS[1:]).replaced == 1
        indexer.remove(VECTORS[0].id)
        indexer.commit()
    with Indexer(path, workers=1) as indexer:
        assert indexer.compact().dropped == 2
    file = next((path / "segments").glob("*.arrow"))
    file.write_bytes(file.read_bytes().replace(VECTORS[30].id.encode(), b"v-XXX", 1))
    lost = repair.apply(Layout.find(path)).lost_ids
    assert len(lost) == 1  # its id can't be read any more
    with Collection.open(path) as collection:
        left = {item.id for item in VECTORS[1:]} - {VECTORS[30].id}
        assert {item.id for item in collection.items()} == left
    with Indexer(path, workers=1) as indexer:
        indexer.add(VECTORS[1:])
        indexer.fit(options=OPTIONS["vector"])
        assert indexer.commit().n_uncoded == 0
    assert codes(path).keys() == expected.keys()
    assert len(set(codes(path).values())) > 3


@pytest.mark.parametrize(("kind", "begun"), [("vector", True), ("vector", False), ("image", True)])
def test_an_interruption_loses_nothing(tmp_path, monkeypatch, kind, begun):
    items = items_of(kind, 40)
    monkeypatch.setattr(segments, "SEGMENT", 10)
    for module in (intake, stored_source):
        monkeypatch.setattr(module, "BATCH", 5)

    def base(path):
        with Indexer(path, kind, workers=1, store_features=True, **also) as indexer:
            if begun:
                indexer.fit(items, OPTIONS[kind])
            indexer.add(items)
            indexer.commit()

    def learned(path):
        with Indexer(path, workers=1, resume=True, store_features=True, **also) as indexer:
            indexer.fit(options=small(kind, seed=3))
            assert indexer.tally.encoded_again == len(items)
            indexer.commit()

    also = {"store_images": True} if kind == "image" else {}
    base(tmp_path / "whole")
    learned(tmp_path / "whole")
    base(tmp_path / "c")
    before = codes(tmp_path / "c")
    write, n_written = segments.SegmentWriter.write, []

    def failing(self):
        n_written.append(1)
        if len(n_written) in (3, 5):
            raise KeyboardInterrupt
        return write(self)

    monkeypatch.setattr(segments.SegmentWriter, "write", failing)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            learned(tmp_path / "c")
        assert codes(tmp_path / "c") == before
    learned(tmp_path / "c")
    assert state(tmp_path / "c") == state(tmp_path / "whole")
    assert len(n_written) == 6, "what was encoded before an interruption is not encoded again"


@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.uint8, np.int8, np.uint16, np.int64]),
        st.integers(1, 20),
        elements={"min_value": 1, "max_value": 100},
    )
)
@settings(deadline=None)
def test_a_vector_is_kept_as_it_was_given(vector):
    kept = VectorFeaturizer.kept(VectorFeaturizer.keep(vector))
    assert (kept.dtype, kept.tolist()) == (vector.dtype, vector.tolist())


@st.composite
def pictures(draw):
    shape = draw(st.tuples(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3])))
    kind = draw(st.sampled_from(["u1", "u2", "i4", "f8"]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    most = {"u1": 256, "u2": 65536, "i4": 1 << 20, "f8": 256}[kind]
    values = rng.integers(0, most, shape)
    return values / 255.0 if kind == "f8" else values.astype(kind)


@given(pictures())
@settings(deadline=None, max_examples=60)
def test_of_a_kept_image_a_model_sees_the_same(pixels):
    kept = ImageFeaturizer.kept(ImageFeaturizer.keep(pixels))
    height, width, channels = pixels.shape
    seen = [(SIDE, SIDE, 3), (SIDE, SIDE, channels)]
    if max(height, width) < SIDE:  # its own size: all is there
        seen += [(height, width, channels), (5, 7, 1), (5, 7, 3)]
    for form in seen:
        depth, unit, values = means_of(pixels, *form)
        found = means_of(kept, *form)
        assert (found.depth, found.unit) == (depth, unit)
        np.testing.assert_array_equal(found.values, values)


def test_of_a_kept_image_nothing_is_made_up():
    kept = ImageFeaturizer.kept(ImageFeaturizer.keep(drawn(1, 70, 50, 3)[0]))
    for spec in (ImageSpec(64, 64), ImageSpec(16, 16), ImageSpec(channels=1)):
        with pytest.raises(PayloadError, match="as it is kept"):
            ImageFeaturizer.prepare(kept, spec)


@given(st.binary(max_size=80))
def test_other_bytes_are_damage(data):
    for read in (vector_of, lambda data: Means(*image_of(data))):
        try:
            found = read(data)
        except DamagedError:
            continue
        assert found is not None
    with pytest.raises(DamagedError):
        vector_of(b"<O8" + data)
    with pytest.raises(DamagedError):
        image_of(ImageFeaturizer.keep(np.zeros((4, 4), np.uint8)) + b"\0")
