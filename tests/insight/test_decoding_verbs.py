"""decode, compress and generate, as they are typed: texts, images, vectors, and what is refused."""

import io
import json
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hashret import Collection
from hashret.cli.decoding.codes_file import CodesFile, read_codes, write_codes
from hashret.codes import Codes, hamming
from hashret.errors import CollectionError, InputError, UnknownItemError
from hashret.told import ToldWord
from indexer.cli import main
from tests.insight.conftest import items_of

KINDS = ["text", "image", "vector"]
FORMS = {"text": "jsonl", "image": "png", "vector": "npy"}


def run(*arguments):
    return CliRunner().invoke(main, [str(one) for one in arguments])


def done(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def path(kind, folders):
    return folders(kind, "dense")


@pytest.fixture
def image_path(folders):
    return folders("image", "dense")


def ids_of(path, n):
    with Collection.open(path) as collection:
        return collection.ids()[:n]


# decode


def test_an_item_decodes_as_its_code_does(path, kind):
    (item_id,) = ids_of(path, 1)
    by_id = json.loads(done("decode", path, "--id", item_id, "--json").stdout)
    by_code = json.loads(done("decode", path, "--code", by_id["code"], "--json").stdout)
    assert by_id.pop("id") == item_id
    assert by_id == by_code
    with Collection.open(path) as collection:
        (said,) = collection.decode(collection.codes[collection.find([item_id])])
    if kind == "text":
        assert [one["word"] for one in by_id["words"]] == [one.word for one in said]
    else:
        assert np.allclose(by_id["pixels" if kind == "image" else "vector"], said)


def test_a_file_has_what_was_said(path, kind, tmp_path):
    ids = ids_of(path, 3)
    named = [word for one in ids for word in ("--id", one)]
    lines = [
        json.loads(line) for line in done("decode", path, *named, "--json").stdout.split("\n")[:-1]
    ]
    assert [line["id"] for line in lines] == ids
    out = tmp_path / f"out.{FORMS[kind]}"
    done("decode", path, *named, "-o", out)
    if kind == "text":
        assert [json.loads(line) for line in out.read_text().splitlines()] == lines
    elif kind == "vector":
        assert np.allclose(np.load(out), [line["vector"] for line in lines])
    else:
        with Image.open(out) as sheet:
            assert sheet.size[0] > 3 * 16
        done("decode", path, *named, "-o", tmp_path / "out.npy")
        pixels = np.load(tmp_path / "out.npy")
        assert np.array_equal(pixels, [line["pixels"] for line in lines])
        done("decode", path, *named, "-o", tmp_path / "out.svg")
        assert "<image" in (tmp_path / "out.svg").read_text()


def test_an_image_is_the_decoders_pixels_also_in_a_pipe(image_path, tmp_path):
    (item_id,) = ids_of(image_path, 1)
    said = done("decode", image_path, "--id", item_id)
    with Collection.open(image_path) as collection:
        (pixels,) = collection.decode(collection.codes[collection.find([item_id])])
    done("decode", image_path, "--id", item_id, "-o", tmp_path / "one.png")
    for stream in (io.BytesIO(said.stdout_bytes), tmp_path / "one.png"):
        with Image.open(stream) as image:
            assert np.array_equal(np.asarray(image), pixels[..., 0])


def test_what_people_read(folders):
    texts, vectors = folders("text", "dense"), folders("vector", "dense")
    one, two = ids_of(texts, 2)
    said = done("decode", texts, "--id", one).stdout.splitlines()
    assert said[0].split() == ["word", "share", "usual"]
    assert said[1].split()[1].endswith("%")
    lines = done("decode", texts, "--id", one, "--id", two).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [one, two]
    (item_id,) = ids_of(vectors, 1)
    assert len(json.loads(done("decode", vectors, "--id", item_id).stdout)) > 2


WRONG = {
    "nothing": ([], "one of --id, --code and --codes"),
    "both": (["--id", "a", "--code", "00"], "one of --id, --code and --codes"),
    "a shorter code": (["--code", "00"], "expected 4 hexadecimal digits for 16 bits, got 2"),
    "no digits": (["--code", "wxyz"], "expected 4 hexadecimal digits for 16 bits, got 'wxyz'"),
    "an odd number of digits": (["--code", "00000"], "expected 4 hexadecimal digits"),
    "an unknown id": (["--id", "nobody"], "got 'nobody'"),
    "no file": (["--codes", "nowhere.codes"], "got no such file"),
    "two forms": (["--code", "0000", "--json", "-o", "x.png"], "--json: expected none"),
    "another suffix": (["--code", "0000", "-o", "x.txt"], "the suffix is the format"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_not_meant_is_refused(path, wrong):
    arguments, said = WRONG[wrong]
    result = run("decode", path, *arguments)
    assert result.exit_code in (1, 2)
    assert said in result.output


def test_images_go_to_no_terminal_and_not_several_to_a_pipe(image_path):
    one, two = ids_of(image_path, 2)
    result = run("decode", image_path, "--id", one, "--id", two)
    assert result.exit_code == 1
    assert "-o NAME.png" in result.output


def test_nobodys_file_is_replaced_but_an_earlier_one_is(image_path, tmp_path):
    (item_id,) = ids_of(image_path, 1)
    out = tmp_path / "out.png"
    for _ in range(2):
        done("decode", image_path, "--id", item_id, "-o", out)
    Image.new("L", (4, 4)).save(out)
    assert "another file" in run("decode", image_path, "--id", item_id, "-o", out).output
    inside = image_path / "segments" / "out.png"
    assert (
        "place in the collection" in run("decode", image_path, "--id", item_id, "-o", inside).output
    )


def test_a_model_without_a_decoder_says_how_to_get_one(path, monkeypatch):
    def none(self):
        raise CollectionError("expected a model with a decoder, got one without; `hashret retrain`")

    monkeypatch.setattr("hashret.snapshot.Snapshot.decoder", property(none))
    for verb in (["decode", path, "--code", "0000"], ["generate", path]):
        result = run(*verb)
        assert result.exit_code == 1
        assert "hashret retrain" in result.output


# compress


def source_of(kind, tmp_path):
    """Files with the items of a kind, as a user has them."""
    items = items_of(kind, "dense", 12)
    if kind == "vector":
        np.save(tmp_path / "vectors.npy", np.stack([one.payload for one in items]))
        return tmp_path / "vectors.npy"
    folder = tmp_path / "files"
    folder.mkdir()
    for i, one in enumerate(items):
        if kind == "text":
            (folder / f"{i}.txt").write_text(one.payload)
        else:
            Image.fromarray(one.payload).save(folder / f"{i}.png")
    return folder


def test_what_is_compressed_comes_back(path, kind, tmp_path):
    source, file = source_of(kind, tmp_path), tmp_path / "x.codes"
    said = done("compress", path, source, "-o", file).stdout
    assert said.startswith("12 items, 2 bytes each; ")
    assert "lost: " in said
    with np.load(file, allow_pickle=False) as read:
        assert read["codes"].shape == (12, 2)
        assert len(set(read["ids"].tolist())) == 12
        codes = Codes(np.ascontiguousarray(read["codes"]))
    out = tmp_path / f"back.{FORMS[kind] if kind != 'image' else 'npy'}"
    done("decode", path, "--codes", file, "-o", out)
    with Collection.open(path) as collection:
        said = collection.decode(codes)
    if kind == "text":
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert [[w["word"] for w in line["words"]] for line in lines] == [
            [word.word for word in words] for words in said
        ]
    else:
        assert np.array_equal(np.load(out), said)
    done("compress", path, source, "-o", file)  # an earlier one is replaced


def test_what_cannot_be_used_is_left_out_and_told(folders, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    Image.new("L", (16, 16), 90).save(folder / "good.png")
    for i in range(5):
        (folder / f"bad{i}.png").write_bytes(b"no image")
    result = done("compress", folders("image", "dense"), folder, "-o", tmp_path / "x.codes")
    assert result.stdout.startswith("1 items, 2 bytes each")
    assert "left out bad0.png: " in result.stderr
    assert "left out 2 more" in result.stderr
    (folder / "good.png").unlink()
    result = run("compress", folders("image", "dense"), folder, "-o", tmp_path / "y.codes")
    assert result.exit_code == 1
    assert not (tmp_path / "y.codes").exists()


def test_codes_of_another_model_are_refused(folders, tmp_path):
    file = tmp_path / "x.codes"
    done("compress", folders("vector", "dense"), source_of("vector", tmp_path), "-o", file)
    result = run("decode", folders("image", "dense"), "--codes", file, "-o", tmp_path / "x.png")
    assert result.exit_code == 1
    assert "those of another" in result.output


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(texts, max_size=20), st.sampled_from([8, 64, 256]), st.integers(0, 9))
def test_a_file_of_codes_gives_back_what_was_written(tmp_path, ids, n_bits, seed):
    rng = np.random.default_rng(seed)
    codes = Codes(rng.integers(0, 256, (len(ids), n_bits // 8), np.uint8))
    size = write_codes(tmp_path / "x.codes", CodesFile(codes, ids, "abc"))
    assert (tmp_path / "x.codes").stat().st_size == size
    again = read_codes(tmp_path / "x.codes")
    assert np.array_equal(again.codes.packed, codes.packed)
    assert (again.ids, again.model) == (ids, "abc")


@pytest.fixture
def written(tmp_path):
    rng = np.random.default_rng(0)
    codes = Codes(rng.integers(0, 256, (50, 8), np.uint8))
    write_codes(tmp_path / "x.codes", CodesFile(codes, [f"id {i}" for i in range(50)], "abc"))
    return tmp_path / "x.codes"


def test_damage_anywhere_is_found_or_changes_nothing(written):
    sound, content = read_codes(written), written.read_bytes()
    for at in range(0, len(content), 3):
        written.write_bytes(content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :])
        try:
            found = read_codes(written)
        except InputError:
            continue
        assert np.array_equal(found.codes.packed, sound.codes.packed)
        assert (found.ids, found.model) == (sound.ids, sound.model)
    for size in (0, 10, len(content) // 2, len(content) - 1):
        written.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"compress"):
            read_codes(written)


def with_members(path, **changed):
    """The file with other members in the place of its own."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(members["about.json"])
    members["about.json"] = json.dumps(about | changed.pop("about", {})).encode()
    for name, array in changed.items():
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=True)
        members[f"{name}.npy"] = stream.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


HOSTILE = {
    "another format": {"about": {"format": 2}},
    "another thing": {"about": {"hashret": "words"}},
    "another number": {"about": {"n": 49}},
    "another length": {"about": {"n_bits": 32}},
    "no number": {"about": {"n": "fifty"}},
    "pickled ids": {"ids": np.array([{"a": 1}] * 50, object)},
    "floats": {"codes": np.zeros((50, 8))},
    "too few ids": {"ids": np.array(["a"] * 49)},
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_is_no_file_of_codes_is_refused(written, hostile):
    with_members(written, **HOSTILE[hostile])
    with pytest.raises(InputError, match=r"expected a file of codes"):
        read_codes(written)


def test_an_exported_npz_is_no_file_of_codes(written, folders):
    done("export", folders("vector", "dense"), "-o", written.with_name("all.npz"))
    with pytest.raises(InputError, match=r"expected a file of codes"):
        read_codes(written.with_name("all.npz"))


# generate


def test_the_same_seed_draws_the_same(path, kind):
    first, again, other = (
        done("generate", path, "-n", 5, "--json", "--seed", seed).stdout for seed in (1, 1, 2)
    )
    assert first == again != other
    lines = [json.loads(line) for line in first.splitlines()]
    assert len(lines) == 5
    assert all(line["nearest"]["distance"] >= 0 for line in lines)


def test_near_an_item_and_between_two(path):
    one, other = ids_of(path, 2)
    with Collection.open(path) as collection:
        ends = collection.codes[collection.find([one, other])]
        near = collection.generate(4, near=one)
        assert hamming(ends[np.array([0])], near.codes)[0].tolist() == [0, 1, 2, 3]
        walk = collection.generate(between=(one, other))
        distance = int(hamming(ends, ends)[0, 1])
        assert hamming(ends[np.array([0])], walk.codes)[0].tolist() == list(range(distance + 1))
        assert walk.codes.hex(len(walk.codes) - 1) == ends.hex(1)
        few = collection.generate(2, between=(one, other))
        assert [few.codes.hex(0), few.codes.hex(1)] == [ends.hex(0), ends.hex(1)]
        assert len(walk.said) == len(walk.codes)
        assert len(collection.generate(1, between=(one, other)).codes) == 1


def test_what_is_sampled_is_as_far_as_items_are(folders):
    with Collection.open(folders("vector", "dense")) as collection:
        plain, drawn = (collection.generate(200, sample=sample) for sample in (False, True))
        assert np.array_equal(plain.codes.packed, drawn.codes.packed)
        scale = collection.coder.featurizer.tensors()["scale"][0]
        error = np.square((drawn.said - plain.said) * scale).mean()
        assert error == pytest.approx(collection.decoder.held_errors.mean(), rel=0.1)
    with Collection.open(folders("text", "dense")) as collection:
        plain, drawn = (collection.generate(5, sample=sample) for sample in (False, True))
        words = [[one.word for one in said] for said in drawn.said]
        assert words != [[one.word for one in said] for said in plain.said]
        assert all(60 * one.share == pytest.approx(round(60 * one.share)) for one in drawn.said[0])


def test_pictures_of_new_items(image_path, tmp_path):
    one, other = ids_of(image_path, 2)
    said = done("generate", image_path, "-n", 9, "-o", tmp_path / "new.png").stderr
    assert said.startswith("9 codes: ")
    done("generate", image_path, "--between", one, other, "-o", tmp_path / "walk.svg")
    svg = (tmp_path / "walk.svg").read_text()
    assert svg.count("<image") >= 2
    assert one in svg


def test_a_contact_sheet_has_each_image_in_its_place(image_path, tmp_path):
    done("generate", image_path, "-n", 9, "-o", tmp_path / "new.npy")
    done("generate", image_path, "-n", 9, "-o", tmp_path / "new.png")
    pixels = np.load(tmp_path / "new.npy")
    with Image.open(tmp_path / "new.png") as sheet:
        drawn = np.asarray(sheet)[..., 0]
    for i, image in enumerate(pixels):  # 8 in a row, each pixel 4 wide, drawn twice as large
        x, y = 12 + i % 8 * 76, 12 + i // 8 * 92
        shown = drawn[2 * y : 2 * (y + 64), 2 * x : 2 * (x + 64)]
        assert np.array_equal(shown[::8, ::8], image[..., 0])


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"n": 0}, ValueError, "at least 1"),
        ({"n": 2.5}, TypeError, "n"),
        ({"near": "a", "between": ("a", "b")}, ValueError, "leave one out"),
        ({"between": ("a",)}, ValueError, "two ids"),
        ({"between": "ab"}, ValueError, "two ids"),
        ({"near": "nobody"}, UnknownItemError, "nobody"),
        ({"sample": "yes"}, TypeError, "sample"),
    ],
)
def test_what_cannot_be_generated_is_refused(folders, how, error, said):
    with (
        Collection.open(folders("vector", "dense")) as collection,
        pytest.raises(error, match=said),
    ):
        collection.generate(**how)


def test_a_code_that_says_no_word_more_than_usual_says_so():
    from hashret.cli.decoding.told import Told, _lines

    codes = Codes.pack(np.zeros((2, 8), bool))
    one = Told(codes[:1], ["a"], [[]], "words", "title")
    assert list(_lines(one)) == ["no word more than usual"]
    two = Told(codes, ["a", "b"], [[], [ToldWord("sea", 0.5, 0.1)]], "words", "title")
    assert list(_lines(two)) == ["a  no word more than usual", "b  sea"]
