"""Which figure, computed without labels, ranks recipes of training as labels do?

    python -m benchmarks.criterion FOLDER [--write-docs]

FOLDER holds models made by `benchmarks.criterion_models`. For each of them every criterion is
computed on held-out items, and beside it the label score, P@100 of validation items, tie-aware.
Rows are appended to benchmarks/criterion.jsonl. For each corpus the table gives Spearman's
correlation of each criterion with the label score over the models, and in brackets its regret: the
label score of the best model less that of the model that it would choose. `--write-docs` puts it
into docs/tuning-measurements.md.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks import criterion_models, environment
from benchmarks.page_sections import write_section

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "criterion.jsonl"
PAGE = ROOT / "docs" / "tuning-measurements.md"
_K, _NARROW = 100, 10
_SMOOTHING = 0.2


class World:
    """What the criteria need of a corpus, whatever the model."""

    def __init__(self, corpus: criterion_models.Corpus):
        import numpy as np

        from hashret.sparse import SparseRows, concatenate
        from indexer.training.neighbours.randomized_svd import principal_coordinates
        from indexer.training.neighbours.similarities import (
            euclidean_points,
            latent_points,
            similarities,
        )
        from indexer.tuning.criteria import Halves, themes_of

        self.corpus, rng = corpus, np.random.default_rng(0)
        items, n = corpus.training, len(corpus.training)
        parts = [items, *corpus.halves]
        if isinstance(items, SparseRows):
            themes = themes_of(parts, rng)
            near = latent_points(concatenate([items, corpus.held]), rng)
        else:
            rows = np.concatenate(parts) - items.mean(axis=0)
            themes = principal_coordinates(rows, 24, rng)
            themes /= np.linalg.norm(themes, axis=1, keepdims=True)
            near = euclidean_points(np.concatenate([items, corpus.held]), rng)
        self.halves = Halves(items, *corpus.halves, themes)
        floats = similarities(near, np.arange(n, n + len(corpus.held)), np.arange(n))
        self.float_rows = np.argsort(-floats, axis=1)[:, :_NARROW]

    def criteria(self, model: dict[str, Any]) -> dict[str, float]:
        """Every criterion of one model."""
        import numpy as np

        from hashret.codes import Codes
        from indexer.tuning.criteria import agreement, shares_of_nearest

        codes = {name: Codes.pack(logits > 0) for name, logits in model.items()}
        by_part = {id(self.halves.items): codes["training"]}
        by_part |= {id(self.halves.first): codes["first"], id(self.halves.second): codes["second"]}
        encoder = SimpleNamespace(encode=lambda features: by_part[id(features)])
        near = [shares_of_nearest(codes[one], codes["training"], _K) for one in ("first", "second")]
        close = shares_of_nearest(codes["held"], codes["training"], _NARROW)
        themes, both = self.halves.shared_themes(near), agreement(*near)
        found = {
            "agreement of the halves x their themes (`tune`)": self.halves(encoder),
            "agreement of the halves": both,
            "themes of the other half": themes,
            "float neighbours": float(np.take_along_axis(close, self.float_rows, 1).mean()),
        }
        completed = self._completed(near)
        return found | ({"the other half itself": completed} if completed is not None else {})

    def _completed(self, near: list[Any]) -> float | None:
        """Document completion: the words, or the pixels, of the other half."""
        import numpy as np

        from hashret.sparse import SparseRows, to_scipy
        from indexer.training.neighbours.term_weighting import l1_normalised

        parts = [self.corpus.training, *self.corpus.halves]
        gains = []
        if isinstance(parts[0], SparseRows):
            rows = [l1_normalised(part) for part in parts]
            words = [to_scipy(one) for one in rows]
            background = np.asarray(words[0].mean(axis=0)).ravel() + 1e-9
            for shares, other in zip(near, (words[2], words[1]), strict=True):
                found = (words[0].T @ shares.T).T / _K
                lift = np.log((1 - _SMOOTHING) * found / background + _SMOOTHING)
                gains.append(float(other.multiply(lift).sum() / other.sum()))
            return float(np.mean(gains))
        items, mean = parts[0], parts[0].mean(axis=0)
        for shares, other in zip(near, (parts[2], parts[1]), strict=True):
            hidden = ~np.isclose(other, mean, atol=1e-5)
            error = (hidden * (other - shares @ items / _K) ** 2).sum()
            gains.append(1 - float(error / (hidden * (other - mean) ** 2).sum()))
        return float(np.mean(gains))


def label_score(model: dict[str, Any], labels: tuple[Any, Any]) -> float:
    """P@100 of validation items among the training items, expected over ties."""
    from hashret.codes import Codes
    from hashret.measures import TiedRanking

    asked, stored = (Codes.pack(model[name] > 0) for name in ("validation", "training"))
    ranking = TiedRanking.from_labels(asked, stored, labels[1], labels[0])
    return float(ranking.precision_at(_K).mean())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--corpora", default=",".join(criterion_models.CORPORA))
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    environment.set_threads(1)
    from benchmarks import datasets

    rows = _read()
    done = {row["model"] for row in rows}
    for name in arguments.corpora.split(","):
        paths = [
            p for p in sorted(arguments.folder.glob(f"{name}.[0-9]*.npz")) if p.stem not in done
        ]
        if paths:
            rows += _measured(name, paths, arguments.datasets or datasets.default_root())
    table = _table(rows)
    print(table)
    if arguments.write_docs:
        write_section(PAGE, "criterion", table)


def _measured(name: str, paths: list[Path], root: Path) -> list[dict[str, Any]]:
    import numpy as np

    corpus = criterion_models.prepare(name, root)
    world, rows = World(corpus), []
    for path in paths:
        with np.load(path) as file:
            model = dict(file)
        seconds = float(model.pop("seconds"))
        row = {"model": path.stem, "corpus": name, "variant": path.stem.split(".", 2)[2]}
        row |= {"seed": int(path.stem.split(".", 2)[1])}
        row |= {"seconds": seconds, "label": label_score(model, corpus.labels)}
        row |= {"criteria": world.criteria(model)}
        with RESULTS.open("a", encoding="utf-8") as results:
            results.write(json.dumps(row | {"environment": environment.describe()}) + "\n")
        rows.append(row)
    return rows


def _read() -> list[dict[str, Any]]:
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def _table(rows: list[dict[str, Any]]) -> str:
    from scipy.stats import spearmanr

    by_corpus: dict[str, list[dict[str, Any]]] = defaultdict(list)
    every: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if not row["seed"]:
            every[row["corpus"]].append(row)
            if not row["variant"].endswith("_bits"):
                by_corpus[row["corpus"]].append(row)
    names = list(rows[0]["criteria"])
    heads = [f"{name} ({len(models)} models)" for name, models in by_corpus.items()]
    lines = [f"| correlation (regret) | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for name in names:
        cells = []
        for models in by_corpus.values():
            figures = [model["criteria"][name] for model in models]
            labels = [model["label"] for model in models]
            regret = max(labels) - labels[figures.index(max(figures))]
            cells.append(f"{spearmanr(figures, labels)[0]:.2f} ({regret:.3f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")

    def of(models: list[dict[str, Any]], variant: str) -> str:
        for model in models:
            if model["variant"] == criterion_models.slug(variant):
                return f"{model['label']:.3f} ({model['criteria'][names[0]]:.4f})"
        return ""

    lines += ["", f"| P@100 (`tune`) | {' | '.join(every)} |", "|---|" + "---|" * len(every)]
    for variant in criterion_models.VARIANTS:
        cells = [of(models, variant) for models in every.values()]
        if any(cells):
            lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
