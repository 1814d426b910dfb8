"""Binary embeddings: bytes of eight bits are taken as bits where this is said, else warned of."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hashret import Collection, Item, specs
from hashret.coder import Coder
from hashret.errors import FormatVersionError, PayloadError, TrainingError
from hashret.features.vector import VectorFeaturizer
from hashret.models.identity import IdentityEncoder
from hashret.specs import VectorSpec
from hashret.specs.encoders import IdentitySpec
from indexer import Indexer
from indexer.cli import main
from indexer.training import Multiples, TrainingOptions, train
from indexer.training.presets import PRESETS, Preset
from indexer.training.recipe import TowersRecipe
from indexer.training.vectors.itq import itq_projection
from indexer.training.vectors.packed import packing_warnings
from tests.corpora import clustered_vectors


def as_int8(packed):
    """As the models' libraries pack them: uint8 - 128."""
    return (packed.astype(np.int16) - 128).astype(np.int8)


def hamming(asked, packed):
    """By NumPy's bits, whose first is a byte's most significant one."""
    return np.unpackbits(packed ^ asked, axis=1).sum(axis=1).astype(int)


def made(path, packed, options=None):
    with Indexer(path, kind="vector") as indexer:
        items = [Item(f"{row:04}", one) for row, one in enumerate(packed)]
        report = indexer.fit(items, options, spec=VectorSpec(packed=True))
        indexer.add(items)
        indexer.commit()
    return report


def cli(*args):
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    return done.exit_code, done.output


@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_a_code_is_the_bytes_that_were_given_of_either_type_and_any_width(width, seed):
    rows = np.random.default_rng(seed).integers(0, 256, (5, width), dtype=np.uint8)
    spec = VectorSpec(8 * width, packed=True)
    coder = Coder(VectorFeaturizer.fit(rows, spec), IdentityEncoder(IdentitySpec(8 * width)))
    encoding = coder.encode(list(rows))
    np.testing.assert_array_equal(encoding.codes.packed, rows)
    np.testing.assert_array_equal(coder.encode(list(as_int8(rows))).codes.packed, rows)
    np.testing.assert_array_equal(encoding.confidences, encoding.codes.bits)
    alike = coder.featurizer.similarities(encoding.features[:1], encoding.features)
    np.testing.assert_allclose(alike, 1 - 2 * hamming(rows[0], rows) / (8 * width), atol=1e-5)
    again = Coder.from_description(*coder.describe())
    np.testing.assert_array_equal(again.encode(list(rows)).codes.packed, rows)


@given(st.lists(st.integers(-128, 255), min_size=3, max_size=3))
def test_whole_numbers_of_another_type_are_bytes_where_their_range_says_which(numbers):
    spec = VectorSpec(24, packed=True)
    is_unsigned = min(numbers) >= 0 and max(numbers) > 127
    is_signed = min(numbers) < 0 and max(numbers) <= 127
    for payload in (numbers, np.array(numbers), np.array(numbers, np.float32)):
        if not is_unsigned and not is_signed:
            with pytest.raises(PayloadError, match="3 bytes of uint8 or int8"):
                VectorFeaturizer.prepare(payload, spec)
            continue
        expected = np.array(numbers) + (128 if is_signed else 0)
        np.testing.assert_array_equal(VectorFeaturizer.prepare(payload, spec), expected)


@pytest.mark.parametrize(
    ("payload", "error_class"),
    [
        (np.zeros(2, np.uint8), "wrong-width"),
        (np.zeros((1, 3), np.uint8), "wrong-width"),
        (np.full(24, 0.5, np.float32), "not-packed"),
        (np.array([1, float("nan"), 200]), "not-packed"),
        (np.array([1, 2, 300]), "not-packed"),
        ([], "not-packed"),
        (np.empty(0, np.int8), "wrong-width"),
        ([[1], [2, 3]], "not-packed"),
        ("bits", "not-packed"),
        (None, "not-packed"),
    ],
)
def test_what_are_no_such_bytes_is_refused(payload, error_class):
    with pytest.raises(PayloadError, match=r"got .*; pack floats as np\.packbits") as raised:
        VectorFeaturizer.prepare(payload, VectorSpec(24, packed=True))
    assert raised.value.error_class == error_class


@pytest.mark.parametrize("width", [1, 8, 48, 130])
def test_search_is_brute_force_over_the_bits(tmp_path, width):
    rng = np.random.default_rng(width)
    rows = rng.integers(0, 256, (90, width), dtype=np.uint8)
    rows[::7] &= 15  # far from even
    asked = rng.integers(0, 256, (6, width), dtype=np.uint8)
    for name, given_rows in (("unsigned", rows), ("signed", as_int8(rows))):
        report = made(tmp_path / name, given_rows)
        assert (report.options.preset, report.options.n_bits) == ("identity", 8 * width)
        with Collection.open(tmp_path / name) as collection:
            assert collection.info()["model"]["packed_bits"] is True
            for options in ({}, {"asymmetric": True}):
                for queries in (asked, as_int8(asked)):
                    for query, hits in zip(
                        asked, collection.query(queries, k=20, **options), strict=True
                    ):
                        distances = hamming(query, rows)
                        order = np.argsort(distances, kind="stable")[:20]
                        assert [int(hit.id) for hit in hits] == order.tolist()
                        assert [hit.distance for hit in hits] == distances[order].tolist()
                        shares = 1 - distances[order] / (8 * width)
                        assert [hit.score for hit in hits] == pytest.approx(shares, abs=1e-6)
            assert collection.get("0000").code == rows[0].tobytes().hex()


def test_options_say_whether_bits_are_learned_from(tmp_path, monkeypatch):
    small = TowersRecipe(hidden=16, steps=4, block=64, queries=16, perplexity=4.0)
    monkeypatch.setitem(PRESETS["vector"], "towers", Preset("towers", small))
    rows = np.packbits(clustered_vectors(120)[:, :16] > 0, axis=1)
    same = made(tmp_path / "same", rows, TrainingOptions(n_bits=16))
    assert same.options.preset == "identity"
    fewer = made(tmp_path / "fewer", rows, TrainingOptions(n_bits=8))
    assert fewer.options.preset == "towers"
    with Collection.open(tmp_path / "fewer") as collection:
        assert collection.query(rows[3], k=1)[0].distance == 0
    with pytest.raises(TrainingError, match="n_bits: expected 16, as the vectors have"):
        made(tmp_path / "other", rows, TrainingOptions(n_bits=8, preset="identity"))
    floats = np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32)
    with pytest.raises(TrainingError, match="preset: expected packed bits"):
        train(floats, "vector", TrainingOptions(n_bits=8, preset="identity"))
    twice = [Multiples(**{name: 2.0}) for name in ("epochs", "neighbours", "noise")]
    unused = [{name: 3} for name in ("seed", "epochs", "neighbours", "rounds")]
    for option in [*unused, *({"multiples": one} for one in twice)]:
        with pytest.raises(ValueError, match=r"with the preset 'identity' .*; leave it out"):
            train(np.sign(floats), "vector", TrainingOptions(8, preset="identity", **option))
    assert TrainingOptions(n_bits=3072, preset="identity").n_bits == 3072
    with pytest.raises(ValueError, match="n_bits: expected 8 to 512"):
        TrainingOptions(n_bits=1024)


def test_a_model_of_before_has_no_packed_bits_and_one_of_later_is_refused():
    assert specs.from_json({"kind": "vector", "n_features": 3, "metric": "cosine"}).packed is False
    with pytest.raises(FormatVersionError, match="no field 'bit_order'"):
        specs.from_json({"kind": "vector", "n_features": 8, "packed": True, "bit_order": "big"})


def test_index_and_query_from_files(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (200, 12), dtype=np.uint8)
    for name, one in (("u", rows), ("i", as_int8(rows)), ("q", rows[5]), ("r", as_int8(rows)[5])):
        np.save(tmp_path / f"{name}.npy", one)
    np.save(tmp_path / "f.npy", rng.standard_normal((200, 12)).astype(np.float32))
    np.save(tmp_path / "g.npy", rng.standard_normal(96).astype(np.float32))
    to, source = tmp_path / "c", tmp_path / "u.npy"
    status, said = cli("index", source, "--to", to, "--packed-bits", "-q")
    assert status == 0
    assert "warning" not in said
    for asked in (["--file", tmp_path / "q.npy"], ["--file", tmp_path / "r.npy"]):
        hits = json.loads(cli("query", to, *asked, "-k", 1, "--json")[1])
        assert (hits["id"], hits["distance"]) == ("5", 0)
    assert json.loads(cli("query", to, json.dumps(rows[5].tolist()), "-k", 1, "--json")[1]) == hits
    assert "packed bits yes" in cli("info", to)[1]
    status, said = cli("query", to, "--file", tmp_path / "g.npy")
    assert status == 1
    assert "expected packed bits, 12 bytes of uint8 or int8, got float32" in said

    again = cli("index", source, "--to", to, "--packed-bits", "-q")
    assert again[0] == 0
    assert "200 unchanged" in again[1]
    assert (
        "has 96-bit codes; --bits 64 needs --retrain"
        in cli("index", source, "--to", to, "--bits", 64)[1]
    )
    assert cli("index", tmp_path / "f.npy", "--to", tmp_path / "d", "--packed-bits")[0] == 1
    rehearsed = cli("index", source, "--to", tmp_path / "d", "--packed-bits", "--dry-run")
    assert rehearsed[0] == 0
    assert "warning" not in rehearsed[1]
    refused = [
        ("--packed-bits", "--metric", "cosine"),
        ("--packed-bits", "--seed", 3),
        ("--preset", "identity"),
        ("--packed-bits", "--preset", "identity", "--bits", 64),
    ]
    for options in refused:
        status, said = cli("index", source, "--to", tmp_path / "d", *options)
        assert status != 0
        assert "; leave " in said
    status, said = cli("tune", source, "--packed-bits", "--preset", "identity", "-q")
    assert status == 1
    assert "expected one that is trained" in said


@pytest.fixture(scope="module")
def embeddings():
    """Floats like those of a model: correlated, off centre, of unit length."""
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((1200, 24)) @ rng.standard_normal((24, 128))
    rows += rng.standard_normal(rows.shape) + 0.3 * rng.standard_normal(128)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_bytes_that_look_like_bits_are_warned_of(tmp_path, embeddings):
    rng = np.random.default_rng(0)
    centred = embeddings - embeddings.mean(axis=0)
    signs = np.packbits(embeddings > 0, axis=1)
    rotated = np.packbits(centred @ itq_projection(centred, 64, rng) > 0, axis=1)
    hashes = rng.integers(0, 256, (200, 8), dtype=np.uint8)
    for rows in (signs, as_int8(signs), signs.astype(np.int64), rotated, hashes, signs[:40]):
        assert "--packed-bits" in packing_warnings(list(rows), VectorSpec())[0]
        assert not packing_warnings(list(rows), VectorSpec(packed=True))
    unpacked = packing_warnings(list((embeddings > 0).astype(np.uint8)), VectorSpec(packed=True))
    assert "not packed" in unpacked[0]
    np.save(tmp_path / "v.npy", signs)
    for options in ((), ("--to", tmp_path / "c", "--dry-run")):
        verb = "index" if options else "tune"
        more = () if options else ("--seconds", 0.2, "-q")
        said = cli(verb, tmp_path / "v.npy", *options, *more)[1]
        assert "look like packed bits" in said
        assert "--packed-bits" in said


def test_numbers_of_eight_bits_are_not_taken_for_bits(embeddings):
    rng = np.random.default_rng(0)
    lowest, highest = embeddings.min(axis=0), embeddings.max(axis=0)
    scaled = (embeddings - lowest) / (highest - lowest) * 255
    near, far = np.percentile(embeddings, [5, 95], axis=0)
    clipped = np.clip((embeddings - near) / (far - near) * 255, 0, 255)
    bright = np.linspace(0, 255, 64) + rng.normal(0, 20, (500, 64)) + rng.normal(0, 40, (500, 1))
    counts = rng.poisson(3.0, (500, 64))
    for rows in (
        scaled.astype(np.uint8),
        (scaled - 128).astype(np.int8),
        np.rint(embeddings / np.abs(embeddings).max() * 127).astype(np.int8),
        np.rint(embeddings / np.abs(embeddings).max(axis=1, keepdims=True) * 127).astype(np.int8),
        clipped.astype(np.uint8),
        np.clip(bright, 0, 255).astype(np.uint8),
        counts,
        rng.integers(0, 1000, (500, 64)),
        embeddings.astype(np.float32),
        np.zeros((500, 64), np.uint8),
    ):
        assert not packing_warnings(list(rows), VectorSpec())
