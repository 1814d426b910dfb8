"""A collection keeps the decoder of its model: on disk, damaged, given up, left out, and asked."""

import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

from hashret import Collection, Item
from hashret.codes import Codes
from hashret.errors import CollectionError, DamagedError
from hashret.specs import VectorSpec
from hashret.store import model_files
from hashret.store.layout import Layout
from hashret.store.repair import plan as repair
from hashret.store.repair.verify import examine
from indexer import Indexer, TrainingOptions
from indexer.cli import main
from tests.corpora import clustered_vectors
from tests.golden.test_p13 import HERE as GOLDEN_FOLDER
from tests.training.recipes import change_all

VECTORS = clustered_vectors(60)
OPTIONS = TrainingOptions(n_bits=16, preset="dense", device="cpu")
FILE = "models/m000001/decoder.safetensors"


def made(path, options=OPTIONS, **how):
    items = [Item(str(i), row) for i, row in enumerate(VECTORS)]
    with pytest.MonkeyPatch.context() as patch:
        change_all(patch, least_steps=2, epochs=1, pretrain_epochs=1)
        with Indexer(path, "vector", workers=1, store_features=True, **how) as indexer:
            report = indexer.fit(items, options, spec=VectorSpec(metric="euclidean"))
            indexer.add(items)
            indexer.commit()
    return report


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("decoding") / "c"
    made(path)
    return path


@pytest.fixture
def path(base, tmp_path):
    return shutil.copytree(base, tmp_path / "c")


def run(*arguments):
    return CliRunner().invoke(main, [str(one) for one in arguments])


def damaged(path):
    file = path / FILE
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    return path


def test_its_vectors_are_nearer_than_the_mean(base):
    with Collection.open(base) as collection:
        decoded = np.asarray(collection.decode(collection.codes))
        order = [int(one) for one in collection.ids()]
        features = collection.features(np.arange(len(collection)))
        errors = collection.decoder.errors(collection.codes, features)
        assert collection.info()["model"]["decoder"] is True
    assert (decoded.dtype, decoded.shape) == (np.float32, VECTORS.shape)
    own = VECTORS[order]
    by_code = np.square(decoded - own).mean()
    assert by_code < 0.8 * np.square(own - own.mean(axis=0)).mean()
    scale = np.square(features - features.mean(axis=0)).mean() / np.square(own - own.mean(0)).mean()
    np.testing.assert_allclose(errors.mean(), by_code * scale, rtol=1e-3)


def test_its_weights_take_two_bytes_each(base):
    tensors = load_file(base / FILE)
    weights = {name: tensor for name, tensor in tensors.items() if name.startswith("weight")}
    assert {tensor.dtype for tensor in weights.values()} == {np.dtype(np.float16)}
    n_weights = sum(tensor.size for tensor in weights.values())
    assert 2 * n_weights < (base / FILE).stat().st_size < 2.2 * n_weights


def test_a_search_reads_nothing_of_it(path, monkeypatch):
    (path / FILE).unlink()
    with Collection.open(path) as collection:
        assert len(collection.query(VECTORS[0], 3)) == 3
        assert len(collection.similar("0", 3)) == 3
        with pytest.raises(DamagedError, match=r"decoder\.safetensors"):
            collection.decode(collection.codes)


def test_damage_of_it_is_found_and_given_up(path):
    damaged(path)
    findings = examine(Layout.find(path))
    assert [one.path for one in findings.damages] == [FILE]
    assert (findings.model_is_sound, findings.damaged_decoder) == (True, "m000001")
    assert run("verify", path).exit_code == 1
    with Collection.open(path) as collection:
        assert len(collection.query(VECTORS[0], 3)) == 3
    said = run("repair", path).output
    assert "loses its decoder" in said
    assert f"would move {FILE}" in said
    assert repair.apply(Layout.find(path)).lost_ids == []
    assert examine(Layout.find(path)).is_sound
    assert (path / "damaged" / FILE).exists()
    with Collection.open(path) as collection:
        assert len(collection) == len(VECTORS)
        assert collection.info()["model"]["decoder"] is False
        with pytest.raises(CollectionError, match="hashret retrain"):
            collection.decode(collection.codes)
    with Indexer(path, workers=1) as indexer:  # writers go on, and keep what the row names
        indexer.add([Item("new", VECTORS[0])])
        indexer.commit()
        indexer.compact()
    with Collection.open(path) as collection:
        assert len(collection.query(VECTORS[0], 3)) == 3


@pytest.mark.parametrize("what", ["gone", "a folder", "a shorter file"])
def test_whatever_stands_in_its_place_the_model_stays(path, what):
    (path / FILE).unlink()
    if what == "a folder":
        (path / FILE).mkdir()
    elif what != "gone":
        (path / FILE).write_bytes(b"other")
    repair.apply(Layout.find(path))
    assert examine(Layout.find(path)).is_sound
    with Collection.open(path) as collection:
        assert len(collection.query(VECTORS[0], 3)) == 3


def test_with_a_damaged_catalog_too_it_is_given_up(path):
    damaged(path)
    catalog = path / "catalog.sqlite"
    content = bytearray(catalog.read_bytes())
    content[100:108] = b"\xff" * 8
    catalog.write_bytes(content)
    repair.apply(Layout.find(path))
    assert examine(Layout.find(path)).is_sound
    with Collection.open(path) as collection:
        assert len(collection.query(VECTORS[0], 3)) == 3


def test_another_models_decoder_is_damage(path):
    """A stranger's description may say anything: what is decoded must be what was encoded."""
    layout = Layout.find(path)
    with Collection.open(path) as collection:
        description = dict(collection.description)
        description["decoder"] = description["decoder"] | {"n_outputs": 5}
        collection.snapshot.__dict__["description"] = description
        with pytest.raises(DamagedError, match="decoder"):
            collection.decode(collection.codes)
    assert examine(layout).is_sound


def test_codes_of_another_length_and_what_are_no_codes_are_refused(base):
    with Collection.open(base) as collection:
        with pytest.raises(ValueError, match="expected 16 bits, got 8"):
            collection.decode(Codes.empty(8))
        with pytest.raises(TypeError, match="Codes"):
            collection.decode("0a0b")


def test_it_can_be_left_out_and_learned_later(tmp_path):
    path = tmp_path / "c"
    report = made(path, TrainingOptions(n_bits=16, preset="dense", decoder=False, device="cpu"))
    assert "decoder" not in [stage.stage for stage in report.stages]
    assert not (path / FILE).exists()
    with Collection.open(path) as collection, pytest.raises(CollectionError, match="retrain"):
        collection.decode(collection.codes)
    done = run("retrain", path, "--preset", "dense", "--bits", 16, "-q")
    assert done.exit_code == 0, done.output
    with Collection.open(path) as collection:
        assert np.asarray(collection.decode(collection.codes)).shape == VECTORS.shape
        stages = [one["stage"] for one in collection.description["training"]["stages"]]
    assert stages[-1] == "decoder"
    done = run("retrain", path, "--preset", "dense", "--bits", 16, "--no-decoder", "-q")
    assert done.exit_code == 0, done.output
    with Collection.open(path) as collection:
        assert collection.info()["model"]["decoder"] is False


def test_a_decoder_that_is_there_is_not_left_out_of_it_later(base, tmp_path):
    source = tmp_path / "v.npy"
    np.save(source, VECTORS)
    done = run("index", source, "--to", base, "--no-decoder")
    assert done.exit_code == 1
    assert "was made with a decoder; --no-decoder needs --retrain" in done.output
    done = run("index", source, "--to", tmp_path / "p", "--packed-bits", "--no-decoder")
    assert done.exit_code == 1
    assert "--no-decoder: expected none" in done.output


@pytest.mark.parametrize("name", ["text", "image", "vector"])
def test_older_collections_say_that_they_have_none(name, tmp_path):
    path = shutil.copytree(GOLDEN_FOLDER / "format-3" / name, tmp_path / "c")
    with Collection.open(path) as collection, pytest.raises(CollectionError, match="retrain"):
        collection.decode(collection.codes)


def test_an_interrupted_write_of_it_leaves_no_model(path, monkeypatch):
    """It is written before the row that names the model, as the model's other files are."""
    written = []
    write = model_files.write_file

    def failing(file, chunks, *block):
        written.append(file.name)
        if file.name == "decoder.safetensors":
            raise KeyboardInterrupt
        return write(file, chunks, *block)

    monkeypatch.setattr(model_files, "write_file", failing)
    with pytest.raises(KeyboardInterrupt), Indexer(path, workers=1) as indexer:
        indexer.fit(None, OPTIONS)
    monkeypatch.undo()
    assert written == ["model.json", "model.safetensors", "decoder.safetensors"]
    with Indexer(path, workers=1) as indexer:
        indexer.add([Item("new", VECTORS[0])])
        indexer.commit()
    assert [one.name for one in (path / "models").iterdir()] == ["m000001"]
    assert examine(Layout.find(path)).is_sound
