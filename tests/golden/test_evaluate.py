"""What `hashret evaluate --json` prints for a kept collection: each name, and each figure.

``python -m tests.golden.test_evaluate`` writes the files anew, after a change that is meant.
"""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from indexer.cli import main
from tests.corpora import topic_items

HERE = Path(__file__).parent
COLLECTION = HERE / "format-2" / "text"
FORMS = {
    "labels": ("--label", "topic", "-k", "5", "--radius", "4"),
    "judged": ("--qrels", "qrels.tsv", "--gains", "1=2,2=1", "--rerank", "6"),
}


def printed(form: str, folder: Path) -> object:
    """The JSON of an evaluation with ten queries, of which one has no label and no judgement."""
    shutil.copytree(COLLECTION, folder / "c")
    queries = [
        {"id": f"q{i}", "text": item.payload, **item.metadata}
        for i, item in enumerate(topic_items(9, 5))
    ]
    lines = [json.dumps(query) + "\n" for query in [*queries, {"id": "nameless", "text": "ship"}]]
    (folder / "queries.jsonl").write_text("".join(lines), "utf-8")
    (folder / "qrels.tsv").write_text(
        "q0\tsea-000\t1\nq1\tkitchen-001\t2\nq1\tsea-002\t1\n", "utf-8"
    )
    options = [str(folder / one) if one.endswith(".tsv") else one for one in FORMS[form]]
    asked = ["evaluate", str(folder / "c"), "--queries", str(folder / "queries.jsonl"), *options]
    run = CliRunner().invoke(main, [*asked, "--json"])
    assert run.exit_code == 0, run.output
    return json.loads(run.stdout)


def close(found, expected):
    """Equal, but for the last digits of floats, which follow the processor's sums."""
    if isinstance(expected, dict):
        return list(found) == list(expected) and all(close(found[k], expected[k]) for k in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(close, found, expected))
    if isinstance(expected, float):
        return found == pytest.approx(expected, rel=1e-6)
    return found == expected


@pytest.mark.parametrize("form", FORMS)
def test_the_json_of_an_evaluation_is_as_it_was(form, tmp_path):
    expected = json.loads((HERE / f"evaluate-{form}.json").read_text("utf-8"))
    found = printed(form, tmp_path)
    assert close(found, expected), json.dumps(found, indent=1)


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    for form in FORMS:
        with TemporaryDirectory() as folder:
            text = json.dumps(printed(form, Path(folder)), indent=1, ensure_ascii=False)
        (HERE / f"evaluate-{form}.json").write_text(text + "\n", "utf-8")
