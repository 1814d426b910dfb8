"""What is asked of a collection: stored and new items of each kind, and the command line."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from hashret import Collection, Item
from hashret.errors import CollectionError, InputError, WhereError
from hashret.features.left_out import Number, Place, Word
from hashret.outliers.judging import Judge
from hashret.outliers.usual import discoveries
from hashret.specs import VectorSpec
from indexer import Indexer, TrainingOptions
from indexer.cli import main
from tests.corpora import clustered_vectors, topic_items
from tests.insight.conftest import pictures
from tests.training.recipes import change_all

STRANGE = "The violin of a planet, salt of the mast, and a taste of gravity with a rhythm of deck"


def made(path, kind, items, *, later=(), spec=None, decoder=False, **keep):
    """Index the items with a few steps of training; nothing is learned of `later` ones."""
    preset = {"image": "patches", "sequence": "recursive"}.get(kind, "dense")
    options = TrainingOptions(n_bits=16, preset=preset, device="cpu", decoder=decoder)
    with pytest.MonkeyPatch.context() as patch:
        change_all(patch, least_steps=2, epochs=1, pretrain_epochs=1)
        with Indexer(path, kind, **keep) as indexer:
            indexer.fit(items, options, spec=spec)
            indexer.add([*items, *later])
            indexer.commit()
    return path


def vector_items():
    """119 vectors in four clusters, and one amid them that stands out in its number 7."""
    rows = clustered_vectors(120)
    rows[50] = rows[:50].mean(axis=0)
    rows[50, 7] += 30
    return [Item(str(i), row, {"half": i // 60}) for i, row in enumerate(rows)]


@pytest.fixture(scope="package")
def texts(tmp_path_factory):
    items = [*topic_items(80), Item("strange", STRANGE, {"topic": "none"})]
    path = tmp_path_factory.mktemp("outliers") / "texts"
    return made(path, "text", items, later=[Item("unknown", "xyzzy plugh")])


@pytest.fixture(scope="package")
def vectors(tmp_path_factory):
    path = tmp_path_factory.mktemp("outliers") / "vectors"
    spec = VectorSpec(metric="euclidean")
    return made(path, "vector", vector_items(), spec=spec, store_features=True)


@pytest.fixture(scope="package")
def bare(tmp_path_factory):
    """A collection of vectors that keeps codes and a decoder, and nothing else."""
    path = tmp_path_factory.mktemp("outliers") / "bare"
    return made(path, "vector", vector_items(), spec=VectorSpec(metric="euclidean"), decoder=True)


def board(side=16):
    """A chessboard, which no blob of light is like."""
    return (np.indices((side, side)).sum(axis=0) // 2 % 2 * 255).astype(np.uint8)


@pytest.fixture(scope="package")
def images(tmp_path_factory):
    items = [Item(f"{i}.png", picture) for i, picture in enumerate(pictures(40))]
    path = tmp_path_factory.mktemp("outliers") / "images"
    return made(path, "image", [*items, Item("board.png", board())])


@pytest.fixture(params=["texts", "vectors", "images"])
def planted(request):
    """A collection of each kind, its planted outlier, and what its parts are."""
    item_id, part = {
        "texts": ("strange", Word),
        "vectors": ("50", Number),
        "images": ("board.png", Place),
    }[request.param]
    return request.getfixturevalue(request.param), item_id, part


def run(*arguments):
    return CliRunner().invoke(main, ["outliers", *map(str, arguments)])


def test_a_planted_outlier_is_first(planted):
    path, item_id, part = planted
    with Collection.open(path) as collection:
        found = collection.outliers(p=0.1, k=3)
        n = len(collection.codes)
        assert found[0].id == item_id
        assert found[0].p_value == pytest.approx(1 / n)
        assert found[0].error > 1.0
        assert found.n_items == found.n_usual == n
        assert found.n_below == n // 10
        assert found[0].odd
        assert all(isinstance(one.part, part) and 0 < one.share < 1 for one in found[0].odd)
        shares = [one.share for one in found[0].odd]
        assert shares == sorted(shares, reverse=True)


def test_stored_items_have_each_rank_once(planted):
    path, *_ = planted
    with Collection.open(path) as collection:
        found = collection.outliers(p=1.0)
        n = len(collection.codes)
        assert sorted(one.id for one in found) == sorted(collection.ids())
        assert [one.p_value for one in found] == pytest.approx(list(np.arange(1, n + 1) / n))
        errors = [one.error for one in found]
        assert errors == sorted(errors, reverse=True)


def test_the_odd_number_is_named(vectors):
    with Collection.open(vectors) as collection:
        (found,) = collection.outliers(k=1)
        assert found.odd[0].part == Number(7)
        assert found.odd[0].share > 0.5


def test_the_odd_word_is_named(texts):
    """A text of the sea with two words of the kitchen."""
    text = "ship harbour sail anchor captain wave tide deck voyage sailor flour oven"
    with Collection.open(texts) as collection:
        (found,) = collection.outliers([text], p=1.0)
        assert {one.part.word for one in found.odd[:2]} == {"flour", "oven"}


def test_the_odd_place_is_named(images):
    """A blob like the others, with a small chessboard in the upper left corner."""
    picture = pictures(40)[3].copy()
    picture[:5, :5] = board(5)
    with Collection.open(images) as collection:
        (found,) = collection.outliers([picture], p=1.0)
        assert found.odd[0].part.x < 0.3
        assert found.odd[0].part.y < 0.3


def test_a_stored_item_given_again_is_no_outlier(planted):
    """It is its own neighbour; so the features of new and of stored items are the same."""
    path, item_id, _ = planted
    payload = {"strange": STRANGE, "50": vector_items()[50].payload, "board.png": board()}[item_id]
    with Collection.open(path) as collection:
        judge = Judge.of(collection.snapshot, np.arange(len(collection.codes)), is_new=True)
        ((stored,),) = judge.stored(collection.find([item_id]))
        ((new,),) = judge.new([Item("new", payload)])
        assert np.array_equal(
            getattr(new.features, "values", new.features),
            getattr(stored.features, "values", stored.features),
        )
        assert new.error < stored.error


def test_new_items_of_which_some_are_bad(texts):
    with Collection.open(texts) as collection:
        found = collection.outliers([STRANGE, "", Item("named", "ship sail deck"), 3], p=0.2)
        assert [one.id for one in found.skipped] == ["1", "3"]
        assert found.n_items == 2
        assert found[0].id == "0"


def test_conditions_say_what_is_asked_and_what_is_usual(vectors):
    with Collection.open(vectors) as collection:
        found = collection.outliers(where="half == 1", against="half == 0", p=1.0)
        assert sorted(int(one.id) for one in found) == list(range(60, 120))
        assert found.n_usual == 60
        assert min(one.p_value for one in found) >= 1 / 61
        with pytest.raises(WhereError):
            collection.outliers(against="half = = 1")
        with pytest.raises(InputError, match="where: expected none beside new items"):
            collection.outliers([np.ones(24)], where="half == 1")


def test_few_usual_items(vectors):
    with Collection.open(vectors) as collection:
        with pytest.raises(CollectionError, match="at least 11 usual items to compare with, got 3"):
            collection.outliers(against="id in ['1', '2', '3']")
        found = collection.outliers([np.full(24, 90.0)], against="half == 0", p=0.01)
        assert (len(found), found.least_p) == (0, 1 / 61)


@pytest.mark.parametrize("wrong", [{"p": 0.0}, {"p": 1.5}, {"fdr": -0.1}, {"k": 0}])
def test_limits_that_are_none(vectors, wrong):
    with Collection.open(vectors) as collection, pytest.raises(ValueError, match="expected"):
        collection.outliers(**wrong)


def test_a_share_of_false_ones_in_place_of_a_p_value(vectors):
    """As many are found as Benjamini and Hochberg allow for the p-values of all."""
    like = clustered_vectors(140)[120:]
    unlike = np.random.default_rng(0).normal(size=(10, 24)).astype(np.float32) * 8
    with Collection.open(vectors) as collection:
        every = collection.outliers([*like, *unlike], p=1.0)
        found = collection.outliers([*like, *unlike], fdr=0.2)
    chosen = discoveries(np.array([one.p_value for one in every]), 0.2)
    assert list(found) == [one for one, is_one in zip(every, chosen, strict=True) if is_one]
    assert {str(i) for i in range(20, 30)} <= {one.id for one in found}
    assert len(found) < 30


def test_where_nothing_is_kept_the_decoder_judges_new_items(bare, tmp_path):
    with Collection.open(bare) as collection:
        with pytest.raises(CollectionError, match=r"codes alone.*--retrain --store-features"):
            collection.outliers()
        far = np.full(24, 40.0, np.float32)
        found = collection.outliers([far, vector_items()[3].payload], p=1.0)
        assert found.by == "decoder"
        assert found[0].id == "0"
        held = collection.snapshot.decoder.held_errors
        assert found.n_usual == len(held)
        assert found[0].p_value == pytest.approx(1 / (len(held) + 1))
        encoded = collection.coder.encode([vector_items()[3].payload])
        error = collection.snapshot.decoder.errors(encoded.codes, encoded.features)[0]
        expected = (1 + np.count_nonzero(held >= np.float32(error))) / (len(held) + 1)
        assert found[1].p_value == pytest.approx(expected)
        assert found[1].error == pytest.approx(error / np.median(held), rel=1e-4)
    np.save(tmp_path / "new.npy", far[None])
    done = run(bare, "--file", tmp_path / "new.npy", "--p", 1)
    assert done.exit_code == 0, done.output
    assert "by the decoder" in done.stderr
    done = run(bare)
    assert done.exit_code == 1
    assert "codes alone" in done.stderr


def test_commands_for_texts(texts, tmp_path):
    done = run(texts, "-k", 2, "--p", 0.05)
    assert done.exit_code == 0, done.output
    first, second = done.stdout.splitlines()
    assert "strange" in first
    assert "odd: " in first
    assert second.startswith("p 0.02")
    assert "4 outliers among 81 items, compared with 81 usual ones" in done.stderr
    assert "the first 2 are shown" in done.stderr
    assert "not compared, for want of a code: 1," in done.stderr
    new = tmp_path / "new"
    new.mkdir()
    (new / "a.txt").write_text(STRANGE)
    (new / "b.txt").write_text("")
    done = run(texts, "--file", new, "--p", 0.05, "--json")
    told = json.loads(done.stdout)
    assert told.keys() == {
        "n_items", "n_usual", "n_outliers", "by", "n_unseen", "outliers", "skipped"
    }  # fmt: skip
    assert [one["id"] for one in told["outliers"]] == ["a.txt"]
    assert told["outliers"][0].keys() == {"id", "p_value", "error", "odd", "preview"}
    assert all(one.keys() == {"word", "share"} for one in told["outliers"][0]["odd"])
    assert [one["id"] for one in told["skipped"]] == ["b.txt"]
    done = run(texts, "--file", new, "--p", 0.001)
    assert "no new item has a p-value below 0.012" in done.stderr


def test_commands_for_images(images, tmp_path):
    Image.fromarray(board()).save(tmp_path / "new.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    sources = ["--file", tmp_path / "new.png", "--file", tmp_path / "bad.png"]
    done = run(images, *sources, "--p", 0.9, "--json")
    told = json.loads(done.stdout)
    assert [one["id"] for one in told["skipped"]] == ["bad.png"]
    assert told["n_items"] == 1
    done = run(images, "--p", 0.05)
    assert done.stdout.splitlines()[0].split()[3] == "board.png"


def test_commands_for_vectors(vectors, tmp_path):
    np.save(tmp_path / "new.npy", np.vstack([np.full((1, 24), 40.0), clustered_vectors(121)[120:]]))
    done = run(vectors, "--file", tmp_path / "new.npy", "--fdr", 0.02)
    assert [line.split()[3] for line in done.stdout.splitlines()] == ["0"]
    assert "at most 0.02 of them expected to be false" in done.stderr
    done = run(vectors, "--where", "half == 7")
    assert "no item satisfies the condition" in done.stderr
    assert "0 outliers among 0 items" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--p", "0.1", "--fdr", "0.1"], "choose one"),
        (["--p", "0"], "--p"),
        (["-k", "0"], "-k"),
        (["--file", "nowhere.npy"], "nowhere.npy"),
        (["--file", "x.npy", "--where", "half == 1"], "--where: expected none"),
    ],
)
def test_misuse(vectors, arguments, told):
    done = run(vectors, *arguments)
    assert done.exit_code
    assert told in done.stderr


def index(*arguments):
    return CliRunner().invoke(main, ["index", *map(str, arguments)])


def test_a_run_of_index_flags_what_is_unlike_the_items_stored_before(tmp_path, monkeypatch):
    change_all(monkeypatch, least_steps=2, epochs=1, pretrain_epochs=1)
    lines = [json.dumps({"id": one.id, "text": one.payload}) for one in topic_items(60)]
    (tmp_path / "old.jsonl").write_text("\n".join(lines))
    (tmp_path / "new.jsonl").write_text(
        "\n".join(
            json.dumps({"id": name, "text": text})
            for name, text in [("odd", STRANGE), *((f"s{i}", topic_items(60)[4 * i].payload) for i in range(3))]
        )
    )  # fmt: skip
    to = ["--to", tmp_path / "c", "--bits", "16", "--no-decoder", "--flag-outliers", "0.05"]
    done = index(tmp_path / "old.jsonl", *to)
    assert done.exit_code == 0, done.output
    assert "outliers: 3 of 60 items of this run have p <= 0.05 beside one another" in done.stderr
    done = index(tmp_path / "new.jsonl", *to[:2], *to[-2:])
    assert "outliers: 1 of 4 items of this run have p <= 0.05 beside the items stored before" in (
        done.stderr
    )
    assert [
        line.split()[4] for line in done.stderr.splitlines() if line.startswith("outlier p")
    ] == ["odd"]
    with Collection.open(tmp_path / "c") as collection:  # nothing is changed by it
        assert collection.get("odd").metadata == {}
    done = index(tmp_path / "new.jsonl", *to[:2], *to[-2:], "--dry-run")
    assert done.exit_code == 2
    assert "--flag-outliers: expected none with --dry-run" in done.stderr


def test_a_run_that_could_not_flag_is_refused_before_it_begins(bare, tmp_path):
    np.save(tmp_path / "new.npy", clustered_vectors(20))
    for to in (bare, tmp_path / "c"):
        done = index(tmp_path / "new.npy", "--to", to, "--flag-outliers", "0.05")
        assert done.exit_code == 1
        assert "codes alone" in done.stderr
    assert not (tmp_path / "c").exists()


def series(n, seed=0):
    """n sine waves of 20 to 39 steps, a little above or below 0."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(20, 40, n).tolist()
    return [np.sin(np.linspace(0, 6, k))[:, None] + 0.1 * rng.normal() for k in lengths]


def test_steps_of_a_series_that_are_odd_are_named(tmp_path):
    strange = np.sin(np.linspace(0, 6, 30))[:, None]
    strange[10:14] -= 3
    items = [Item(str(i), one) for i, one in enumerate(series(40))]
    made(tmp_path / "series", "sequence", [*items, Item("strange", strange)])
    with Collection.open(tmp_path / "series") as collection:
        (found,) = collection.outliers(k=1, p=0.05)
        assert found.id == "strange"
        assert {one.part.first for one in found.odd[:4]} == {10, 11, 12, 13}
        again, like = collection.outliers([strange, items[3].payload], p=1.0)
        assert (again.id, again.p_value) == ("0", pytest.approx(2 / 42))  # its copy is as far
        assert like.p_value > 0.1


def test_tokens_in_another_order_are_unlike(tmp_path):
    letters = "abcdefgh"
    starts = np.random.default_rng(0).integers(0, 8, 40).tolist()
    items = [
        Item(str(i), [letters[(start + k) % 8] for k in range(12)])
        for i, start in enumerate(starts)
    ]
    strange = [letters[3 * k % 8] for k in range(12)]
    made(tmp_path / "tokens", "sequence", [*items, Item("strange", strange)])
    with Collection.open(tmp_path / "tokens") as collection:
        assert collection.outliers(k=1, p=0.05)[0].id == "strange"


def test_an_error_beside_copies_has_a_word():
    from hashret.outliers.find import Outlier
    from indexer.cli.outliers.verb import line_of

    lines = [line_of(Outlier("a", 0.01, error, ())) for error in (1.5, 999.99, 1e7)]
    assert [line.split()[2] for line in lines] == ["1.50x", "999.99x", ">1000x"]
