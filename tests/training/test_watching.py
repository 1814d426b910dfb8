"""Who watches a training is told what happens, and changes no bit of what is learned."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hashret import Collection
from hashret.errors import InputError, MissingExtraError
from indexer import Indexer
from indexer.cli import main
from indexer.training import TrainingOptions, Watcher, train
from indexer.training.presets import PRESETS
from indexer.training.watching.tensorboard import TensorBoard
from indexer.training.watching.watcher import Seen, seen_rows
from tests.corpora import topic_items
from tests.insight.conftest import items_of
from tests.training.corpora import as_taken, grouped_points, grouped_words
from tests.training.recipes import change_all
from tests.training.watchers import Everything

#: Presets that differ from another only in how they learn: all tests try them, the quick ones not.
ALIKE = {"quick", "bernoulli", "rounded", "sparse", "denoising", "contractive", "recirculation"}
EVERY = [
    pytest.param(kind, name, marks=pytest.mark.long if name in ALIKE else ())
    for kind, rows in PRESETS.items()
    for name in rows
    if name != "identity"
]
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "weights_and_biases.py"
LOOKS = 20


@pytest.fixture(autouse=True, scope="module")
def small_networks():
    """The recipes with small hidden layers and few steps: the same code, quickly."""
    with pytest.MonkeyPatch.context() as patch:
        change_all(patch, hidden=(32, 24), least_steps=30, epochs=4)
        yield


class Busy(Everything):
    """Draws random numbers, and rebuilds, whenever it is told something."""

    def on_codes(self, seen):
        super().on_codes(seen)
        np.random.seed(0)  # noqa: NPY002 - the global one, to see that nobody relies on it
        np.random.rand()  # noqa: NPY002
        seen.rebuilt()


@pytest.mark.parametrize(("kind", "preset"), EVERY)
def test_watching_changes_no_bit_and_tells_all_in_order(kind, preset):
    shape = (6, 6, 1) if kind == "image" else None
    features, ordering = grouped_points(160, n_features=36)[0], None
    if kind in ("text", "sequence"):
        features, ordering = as_taken(grouped_words(160)[0], kind, preset)
    rounds = 2 if "rounds" in PRESETS[kind][preset].recipe.knobs else None
    options = TrainingOptions(n_bits=16, device="cpu", preset=preset, rounds=rounds)
    how = {"shape": shape, "ordering": ordering}
    alone, plain = train(features, kind, options, **how)
    first, second = Busy(), Everything()
    watched, report = train(features, kind, options, watchers=[first, second], **how)
    for name, array in alone.tensors().items():
        assert array.tobytes() == watched.tensors()[name].tobytes(), name
    assert [s.losses for s in plain.stages] == [s.losses for s in report.stages]
    assert [s.looks for s in plain.stages] == [s.looks for s in report.stages]
    calls = second.calls
    assert [call[0] for call in first.calls] == [call[0] for call in calls]
    assert calls[-1] == ("end", report)
    last = calls[-2][1]
    assert (last.stage, last.step) == ("codes", 1)
    rows = seen_rows(160)
    assert rows.tolist() == list(range(160))
    np.testing.assert_allclose(last.logits, watched.logits(features), rtol=1e-5, atol=1e-5)
    stages = [call[1] for call in calls if call[0] == "stage"]
    assert stages == [stage.stage for stage in report.stages]
    now, done = None, 0
    for call in calls[:-2]:
        if call[0] == "stage":
            now, done, total = call[1], 0, call[2]
        elif call[0] == "step":
            assert call[1] == now
            assert done < call[2] <= total == call[3]
            done = call[2]
        else:
            assert (call[0], call[1].step) == ("codes", 0 if call[1].stage != now else done)


def test_looks_are_few_and_as_the_codes_were():
    watcher = Everything()
    features = grouped_words(300)[0]
    options = TrainingOptions(n_bits=16, device="cpu", epochs=30)
    _, report = train(features, "text", options, watchers=[watcher])
    (tuned,) = [stage for stage in report.stages if stage.looks]
    assert tuned.stage == "fine-tune"
    told = [call[1] for call in watcher.calls if call[0] == "codes"][:-1]
    assert [seen.look for seen in told] == tuned.looks
    assert LOOKS // 2 < len(tuned.looks) <= LOOKS
    assert tuned.looks[0].done == 0.0
    assert [look.done for look in tuned.looks] == sorted(look.done for look in tuned.looks)
    assert tuned.looks[-1].saturated > tuned.looks[0].saturated + 0.2  # bits become bits
    assert tuned.looks[-1].noise > tuned.looks[0].noise
    for seen in told:
        ones = (seen.logits > 0).mean(axis=0)
        expected = (ones.min(), ones.mean(), ones.max())
        assert seen.look.bit_balance == pytest.approx(expected, abs=1e-4)
        np.testing.assert_allclose(seen.logits.mean(axis=0), 0.0, atol=1e-3)
    assert json.loads(json.dumps(report.to_json()))["stages"][-2]["looks"][0]["done"] == 0.0


def test_what_codes_tell_is_rebuilt_from_them():
    rng = np.random.default_rng(0)
    bits = rng.random((300, 8)) < 0.5
    features = (bits @ rng.standard_normal((8, 5)) + 3.0).astype(np.float32)
    seen = Seen("s", 1, None, np.where(bits, 0.5, -0.5).astype(np.float32), features)
    own, told = seen.rebuilt()
    assert own.shape == told.shape == (8, 5)
    assert np.array_equal(own, features[:8])
    np.testing.assert_allclose(told, own, atol=0.1)
    nothing = Seen("s", 1, None, rng.standard_normal((300, 8)).astype(np.float32), features)
    assert np.abs(nothing.rebuilt()[1] - own).max() > 0.5


def test_what_a_watcher_raises_ends_the_training_and_nothing_is_written(tmp_path):
    class Refusing(Watcher):
        def on_stage(self, stage, n_steps):
            raise RuntimeError(f"not {stage}")

    with Indexer(tmp_path / "c", "text", workers=1) as indexer:
        with pytest.raises(RuntimeError, match="not words"):
            indexer.fit(topic_items(40), TrainingOptions(n_bits=16), watchers=[Refusing()])
        assert indexer.coder is None


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return found


@pytest.mark.parametrize(
    ("kind", "preset"), [("text", "dense"), ("image", "patches"), ("vector", "towers")]
)
def test_events_are_read_back_as_they_were_told(kind, preset, tmp_path):
    items = items_of(kind, preset, 60)
    watcher = Everything()
    options = TrainingOptions(n_bits=16, device="cpu", preset=preset)
    with Indexer(tmp_path / "c", kind, workers=1) as indexer:
        board = TensorBoard(tmp_path / "events")
        report = indexer.fit(items, options, watchers=[watcher, board])
        board.close()
    name, featurizer = watcher.calls[0]
    assert (name, featurizer.spec.kind) == ("features", kind)
    found = events(tmp_path / "events")
    tags = found.Tags()
    losses = [call[1:] for call in watcher.calls if call[0] == "step" and not np.isnan(call[4])]
    for stage in {call[0] for call in losses}:
        expected = [(step, loss) for name, step, _, loss in losses if name == stage]
        told = [(one.step, one.value) for one in found.Scalars(f"loss/{stage}")]
        assert [step for step, _ in told] == [step for step, _ in expected]
        np.testing.assert_allclose([v for _, v in told], [v for _, v in expected], rtol=1e-6)
    seen = [call[1] for call in watcher.calls if call[0] == "codes"]
    for stage in {one.stage for one in seen}:
        of_stage = [one for one in seen if one.stage == stage]
        least = [one.value for one in found.Scalars(f"ones/least/{stage}")]
        np.testing.assert_allclose(least, [one.look.bit_balance[0] for one in of_stage], rtol=1e-6)
        last = found.Histograms(f"logits/{stage}")[-1]
        assert last.histogram_value.num == of_stage[-1].logits.size
    said = found.Tensors("report/text_summary")[0].tensor_proto.string_val[0].decode()
    assert report.options.preset in said
    if kind == "text":
        shown = found.Tensors("rebuilt/codes/text_summary")[0].tensor_proto.string_val[0].decode()
        words = {word for one in items for word in one.payload.lower().split()}
        assert len(words & set(shown.replace("|", " ").split())) > 3
        assert shown.count("\n") == 2 + 8
    elif kind == "image":
        picture = found.Images("rebuilt/codes")[0]
        assert (picture.height, picture.width) == (2 * 16, 8 * 16)
    else:
        assert not tags["images"]


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_the_command_line_writes_events_and_the_same_codes(tmp_path):
    items = topic_items(60)
    lines = [json.dumps({"id": one.id, "text": one.payload}) for one in items]
    (tmp_path / "d.jsonl").write_text("\n".join(lines))
    source, log = tmp_path / "d.jsonl", tmp_path / "log"
    common = ("--bits", 16, "--device", "cpu")
    assert run("index", source, "--to", tmp_path / "a", *common).exit_code == 0
    done = run("index", source, "--to", tmp_path / "dry", *common, "--log-dir", log, "--dry-run")
    assert done.exit_code == 0, done.output
    assert not log.exists()
    done = run("index", source, "--to", tmp_path / "b", *common, "--log-dir", log)
    assert done.exit_code == 0, done.output
    packed = []
    for name in "ab":
        with Collection.open(tmp_path / name) as collection:
            packed.append(collection.codes.packed.tobytes())
    assert packed[0] == packed[1]
    assert "loss/fine-tune" in events(log).Tags()["scalars"]
    done = run("index", source, "--to", tmp_path / "b", "--log-dir", tmp_path / "none")
    assert "no model is learned, so nothing is written" in done.stderr
    assert not (tmp_path / "none").exists()
    for wrong, said in [
        (tmp_path / "b" / "log", "a place in the collection"),
        (source, "File exists"),
    ]:
        done = run("retrain", tmp_path / "b", "--log-dir", wrong)
        assert (done.exit_code, said in done.stderr) == (1, True), done.stderr
    again = tmp_path / "again"
    assert run("retrain", tmp_path / "b", *common, "--log-dir", again).exit_code == 0
    assert "saturated/fine-tune" in events(again).Tags()["scalars"]
    done = run("report", tmp_path / "b", "-o", tmp_path / "r.html")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "r.html").read_text()
    assert "Loss: fine-tune" in page
    assert "Codes on the way: fine-tune" in page
    assert "Noise on the logits: fine-tune" in page


def test_without_the_package_there_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hashret\[tensorboard\]'"):
        TensorBoard(tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_a_folder_that_can_not_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a folder for the events"):
        TensorBoard(tmp_path / "file")


@pytest.mark.long
def test_the_example_logs_to_weights_and_biases_offline(tmp_path):
    pytest.importorskip("wandb", reason="the example needs wandb, which is not installed")
    lines = [json.dumps({"id": one.id, "text": one.payload}) for one in topic_items(60)]
    (tmp_path / "d.jsonl").write_text("\n".join(lines))
    place = {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true"}
    script = [sys.executable, str(EXAMPLE), str(tmp_path / "d.jsonl"), str(tmp_path / "c")]
    done = subprocess.run(
        script, env=os.environ | place, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    with Collection.open(tmp_path / "c") as collection:
        assert len(collection) == 60
    (log,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    logged = log.read_bytes()
    for key in ("pre-train 1/loss", "fine-tune/loss", "fine-tune/saturated", "codes/logits"):
        assert key.encode() in logged
