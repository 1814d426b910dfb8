"""The verbs that draw: map, report, and evaluate with --plot."""

import re
import shutil
import sys
import xml.etree.ElementTree as ET

import pytest
from click.testing import CliRunner
from PIL import Image

from hashret import Collection, Item
from hashret.errors import DamagedError
from hashret.insight.report import report_page
from indexer import Indexer, TrainingOptions
from indexer.cli import main
from tests.corpora import clustered_vectors, topic_items
from tests.insight.conftest import OPTIONS


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("seen") / "<b>topics.hashret"
    items = [*topic_items(60), Item("<script>alert(1)</script>", "ship sail", {"topic": "<i>"})]
    with Indexer(path, "text") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add(items)
        indexer.commit()
    return path


def run(*arguments):
    return CliRunner().invoke(main, [str(one) for one in arguments])


@pytest.mark.parametrize("suffix", [".html", ".PNG", ".svg"])
def test_a_map_is_written_and_replaces_only_a_map(path, tmp_path, suffix):
    place = tmp_path / f"map{suffix}"
    done = run("map", path, "-o", place, "--field", "topic", "--n", 30)
    assert done.exit_code == 0, done.output
    assert "All 61 items, commit 1. By t-SNE of real-valued codes of 30 items" in done.output
    written = place.read_bytes()
    assert run("map", path, "-o", place, "--field", "topic", "--n", 30).exit_code == 0
    assert place.read_bytes() == written  # the same seed
    if suffix == ".PNG":
        with Image.open(place) as image:
            image.load()
            assert image.format == "PNG"
    elif suffix == ".svg":
        ET.fromstring(written)  # noqa: S314 - our own
    assert b"<script>alert" not in written
    place.write_text("a letter")
    done = run("map", path, "-o", place)
    assert done.exit_code == 1
    assert "another file, which would be lost" in done.output
    assert place.read_text() == "a letter"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["map", "{path}", "-o", "{new}.jpg"], "expected a file name with .html, .png, .svg"),
        (["map", "{path}", "-o", "{new}.png", "--field", "nope"], "'nope', which none has"),
        (["map", "{path}", "-o", "{path}/map.png"], "a place in the collection"),
        (["map", "{path}", "-o", "{new}/none/map.png"], "no folder to write into"),
        (["report", "{path}", "-o", "{new}.png"], "expected a file name with .html"),
        (["report", "{path}", "-o", "{new}.html", "--field", "nope"], "'nope', which none has"),
        (["evaluate", "{path}", "--label", "topic", "--plot", "{new}.pdf"], "with .svg or .png"),
        (["evaluate", "{path}", "--qrels", "q", "--queries", "q", "--plot", "{new}.png"], "--plot goes with --label"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_said_before_work(path, tmp_path, arguments, said):
    done = run(*(one.format(path=path, new=tmp_path / "new") for one in arguments))
    assert done.exit_code in (1, 2)
    assert said in done.output
    assert not list(tmp_path.iterdir())


def test_without_opentsne_a_map_says_what_to_install_and_a_report_does_without(
    path, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    done = run("map", path, "-o", tmp_path / "map.html")
    assert done.exit_code == 1
    assert "pip install 'hashret[map]'" in done.output
    assert run("report", path, "-o", tmp_path / "report.html").exit_code == 0
    assert "hashret[map]" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_report_shows_all_and_runs_nothing(path, tmp_path):
    place = tmp_path / "report.html"
    done = run("report", path, "-o", place, "--field", "topic")
    assert done.exit_code == 0, done.output
    page = place.read_text(encoding="utf-8")
    heads = re.findall(r"<h2>(.*?)</h2>", page)
    assert heads == [
        "What it is", "Health", "Map", "Bits", "Buckets", "Distances", "Training"
    ]  # fmt: skip
    assert "<script" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "61 of kind text" in page
    assert "Use --radius" in page
    assert "Loss: fine-tune" in page
    assert re.search(r"default-src 'none'; style-src 'sha256-\S+'; img-src data:", page)
    assert page == place.read_text(encoding="utf-8")


@pytest.mark.parametrize(("kind", "n"), [("vector", 40), ("vector", 1), ("text", 2)])
def test_any_collection_has_a_report(tmp_path, kind, n):
    with Indexer(tmp_path / "c", kind) as indexer:
        if kind == "vector":
            items = [Item(str(i), vector) for i, vector in enumerate(clustered_vectors(40))]
        else:
            items = topic_items(40)
        indexer.fit(items, TrainingOptions(n_bits=16, epochs=1, device="cpu"))
        indexer.add(items[:n])
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        page = report_page(collection, "c").decode()
    assert "<h2>Training</h2>" in page
    if n < 2:
        assert "too few items with a code to judge: 1" in page


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_a_plot_shows_what_evaluate_prints(path, tmp_path, suffix):
    place = tmp_path / f"plot{suffix}"
    said = run("evaluate", path, "--label", "topic", "-k", 10, "--json").output
    done = run("evaluate", path, "--label", "topic", "-k", 10, "--json", "--plot", place)
    assert done.exit_code == 0, done.output
    assert done.output == said
    if suffix == ".svg":
        names = {one.text for one in ET.fromstring(place.read_bytes()).iter() if one.text}  # noqa: S314 - our own
        assert {"distance", "features", "Precision among the first items"} <= names
    else:
        with Image.open(place) as image:
            image.load()


def test_curves_end_at_the_figures_that_are_printed(path):
    from indexer.evaluation import evaluate

    with Collection.open(path) as collection:
        found = evaluate(collection, None, "topic", k=10, radius=3, with_curves=True)
    assert found.curves.ranks[0] == 1
    assert found.curves.ranks[-1] == 10
    for order, scores in found.orders.items():
        assert found.curves.by_rank[order][-1] == pytest.approx(scores["precision@10"])
    within = found.orders["distance"]["precision within 3"]
    assert found.curves.by_radius[3] == pytest.approx(within)


def test_the_losses_of_a_training_are_kept(path, tmp_path):
    with Collection.open(path) as collection:
        stages = collection.description["training"]["stages"]
    learned = [one for one in stages if one.get("loss") is not None]
    assert learned
    for one in learned:
        assert 1 <= len(one["losses"]) <= 60
    # of earlier models, which keep none, the rest is shown
    shutil.copytree(path, tmp_path / "c")
    with Collection.open(tmp_path / "c") as collection:
        for one in collection.description["training"]["stages"]:
            one.pop("losses")
        assert "keeps no loss curves" in report_page(collection, "c").decode()


@pytest.mark.parametrize(
    "training",
    [[], {"stages": 3}, {"stages": [{"losses": "abc"}]}, {"stages": [{"seconds": None}]}],
)
def test_a_training_of_another_form_is_said_to_be_damaged(path, training):
    with Collection.open(path) as collection:
        told = collection.description["training"]
        collection.description["training"] = {**told, **training} if training else training
        with pytest.raises(DamagedError, match="train it again"):
            report_page(collection, "c")
