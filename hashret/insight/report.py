"""What is there to see in a collection? All of it on one static page, without a script."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterable, Iterator
from string import Template
from typing import Any

import numpy as np

from hashret.collection import Collection
from hashret.errors import DamagedError, MissingExtraError
from hashret.insight.charts import Axis, Curve, bars, curves
from hashret.insight.code_map import lay_out
from hashret.insight.drawing import Drawing, encoded, theme
from hashret.insight.health import complaints
from hashret.insight.map_picture import map_drawing, view_of
from hashret.insight.page_files import digest, page_text
from hashret.insight.pairs import Distances, distances
from hashret.insight.tsne import OnDone
from hashret.measures import bit_balance, bit_correlation, bucket_sizes, code_statistics
from hashret.snapshot.about import about_model
from hashret.unicode_text import shown

#: What says at the beginning of a page that it is one of these.
MARK = "hashret report"
#: Items on the small map of a report.
_ON_MAP = 5_000
#: Facts of the description of a model that are shown, by their names there.
_OF_MODEL = (
    "name",
    "preset",
    "features",
    "encoder",
    "n_features",
    "trained_on",
    "labels",
    "passages",
)


def report_page(
    collection: Collection,
    name: str,
    *,
    field: str | None = None,
    seed: int = 0,
    n_threads: int = 1,
    on_done: OnDone = lambda done: None,
) -> bytes:
    """The report on a collection at its commit as a page of HTML, encoded.

    `field` colours the map. Raises CollectionError without a model, and `InputError` for a field
    that no item has.
    """
    standing = collection.standing()
    codes = standing.codes
    parts = [_facts(standing), _verdict(standing)]
    if len(codes):
        parts += [
            _map(standing, name, field, lambda: _laid_out(standing, seed, n_threads, on_done)),
            _bits(standing),
            _buckets(standing),
            _distances(distances(standing, seed)),
        ]
    parts.append(_training(standing))
    style = theme() + page_text("report.css")
    policy = (
        f"default-src 'none'; style-src {digest(style)}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    return (
        Template(page_text("report.html"))
        .substitute(
            mark=MARK,
            policy=policy,
            title=_escaped(f"Report on {name}"),
            style=style,
            parts="\n".join(parts),
        )
        .encode()
    )


def _escaped(text: Any) -> str:
    return html.escape(shown(str(text)))


def _section(title: str, *parts: str) -> str:
    return f"<section>\n<h2>{_escaped(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def _said(text: str, style: str = "") -> str:
    return f'<p class="{style}">{_escaped(text)}</p>' if style else f"<p>{_escaped(text)}</p>"


def _table(rows: Iterable[tuple[str, Any]]) -> str:
    cells = "".join(
        f'<tr><th scope="row">{_escaped(name)}</th><td>{_escaped(value)}</td></tr>'
        for name, value in rows
    )
    return f"<table>{cells}</table>"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else f"{value}"


def _facts(collection: Collection) -> str:
    snapshot = collection.snapshot
    about = about_model(snapshot) or {}
    rows = [
        ("items", f"{len(collection):,} of kind {collection.kind}"),
        ("without a code", f"{snapshot.committed.n_uncoded:,}"),
        ("bits in a code", collection.n_bits),
        ("commit", f"{collection.commit}, of {snapshot.committed.created_at}"),
    ]
    model = [f"{key.replace('_', ' ')} {_number(about[key])}" for key in _OF_MODEL if key in about]
    rows.append(("model", ", ".join(model)))
    return _section("What it is", _table(rows))


def _verdict(collection: Collection) -> str:
    found = complaints(collection.codes)
    if not found:
        return _section("Health", _said("The codes look healthy.", "verdict"))
    return _section("Health", *(_said(one, "verdict") for one in found))


def _laid_out(collection: Collection, seed: int, n_threads: int, on_done: OnDone) -> Any:
    return lay_out(
        collection,
        n_laid_out=_ON_MAP,
        n_shown=_ON_MAP,
        seed=seed,
        n_threads=n_threads,
        on_done=on_done,
    )


def _map(collection: Collection, name: str, field: str | None, laid_out: Callable[[], Any]) -> str:
    try:
        drawing = map_drawing(view_of(collection, laid_out(), field, name))
    except MissingExtraError as error:
        return _section("Map", _said(f"Not drawn: {error}."))
    return _section(
        "Map", drawing.svg(), _said("The command hashret map draws one to zoom and to search in.")
    )


def _bits(collection: Collection) -> str:
    codes = collection.codes
    balance, statistics = bit_balance(codes), code_statistics(codes)
    order = np.sort(balance)
    drawing = bars(
        "Share of ones of each bit, in ascending order",
        Axis("bits", 0, codes.n_bits),
        Axis("", 0, 1),
        list(range(codes.n_bits + 1)),
        order.tolist(),
    )
    correlation = np.abs(bit_correlation(codes))
    picture = _greys(correlation, f"Correlation of every pair of {codes.n_bits} bits")
    return _section(
        "Bits",
        _said(
            f"A bit is 1 for {statistics.balance_min:.0%} to {statistics.balance_max:.0%} of the "
            f"items, {statistics.balance_mean:.0%} on average; 50% tells most."
        ),
        drawing.svg(),
        _said(
            "Each row and column of the square is a bit; the darker, the more two of them say the "
            f"same. The mean correlation is {statistics.correlation_mean:.2f}, the highest "
            f"{statistics.correlation_max:.2f}."
        ),
        picture,
    )


def _greys(shares: np.ndarray, title: str) -> str:
    """A matrix of shares as an image of one pixel each, white for 0 and black for 1."""
    from PIL import Image

    image = Image.fromarray((255 * (1.0 - shares)).round().astype(np.uint8))
    data = base64.b64encode(encoded(image, MARK, title)).decode()
    return f'<img alt="{_escaped(title)}" src="data:image/png;base64,{data}">'


def _buckets(collection: Collection) -> str:
    sizes = bucket_sizes(collection.codes)
    n_alone = int((sizes == 1).sum())
    powers = np.floor(np.log2(sizes)).astype(int)
    items = np.bincount(powers, weights=sizes)
    drawing = bars(
        "Items by the size of their bucket",
        Axis(
            "items that share a code (buckets of 1, 2 to 3, 4 to 7, ...)", 1, 2 ** len(items), True
        ),
        Axis("", 0, float(items.max())),
        [2**power for power in range(len(items) + 1)],
        items.tolist(),
    )
    return _section(
        "Buckets",
        _said(
            f"{int(sizes.sum()):,} items have {len(sizes):,} different codes; {n_alone:,} have one "
            f"of their own. The fullest bucket has {int(sizes[0]):,} items."
        ),
        drawing.svg(),
    )


def _distances(found: Distances | None) -> str:
    title = "Distances"
    if found is None:
        return _section(title, _said("There are no pairs: fewer than two items have a code."))
    of_bits = list(range(len(found.near)))
    lines: dict[str, Curve] = {
        "near by features" if found.by_features else "near by codes": (
            of_bits,
            found.near.tolist(),
        ),
        "random pairs": (of_bits, found.random.tolist()),
    }
    top = float(max(found.near.max(), found.random.max()))
    drawing = curves(
        "Share of pairs at each distance",
        Axis("distance, bits", 0, of_bits[-1]),
        Axis("", 0, top),
        lines,
    )
    return _section(title, _said(str(found)), drawing.svg())


def _training(collection: Collection) -> str:
    """The section on the training. Raises `DamagedError` for a description of another form."""
    try:
        return _of_training(collection.description.get("training", {}))
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise DamagedError(
            f"{collection.snapshot.layout.root}: expected a report of the training, got "
            f"{type(error).__name__}: {error}; train it again"
        ) from error


def _of_training(training: dict[str, Any]) -> str:
    """The stages of a training, its warnings, and the loss of each stage that learned."""
    stages = [one for one in training.get("stages", []) if isinstance(one, dict)]
    rows = []
    for one in stages:
        loss = one.get("loss")
        said = "" if loss is None else f", loss {loss:.4g}"
        rows.append((str(one.get("stage")), f"{one.get('seconds', 0.0):.1f} s{said}"))
    parts = [_said(warning, "verdict") for warning in training.get("warnings", [])]
    parts.append(_table(rows))
    learned = {str(one.get("stage")): one["losses"] for one in stages if one.get("losses")}
    for stage, losses in learned.items():
        shares = [(number + 0.5) / len(losses) for number in range(len(losses))]
        drawing = curves(
            f"Loss: {stage}",
            Axis("share of the stage that is done", 0, 1),
            Axis("", min(losses), max(losses)),
            {stage: (shares, losses)},
        )
        parts.append(drawing.svg())
    for one in stages:
        if looks := one.get("looks"):
            parts += [drawing.svg() for drawing in _courses(str(one.get("stage")), looks)]
    if not learned:
        parts.append(
            _said(
                "The model keeps no loss curves: it was trained before they were kept, "
                "or learned in steps without a loss."
            )
        )
    return _section("Training", *parts)


def _courses(stage: str, looks: list[dict[str, Any]]) -> Iterator[Drawing]:
    """How the codes of a sample became bits, by how much of the stage was done; and the noise."""
    x = Axis("share of the stage that is done", 0, 1)
    done = [float(look["done"]) for look in looks]
    balance = [look["bit_balance"] for look in looks]
    lines: dict[str, Curve] = {}
    if looks[0]["saturated"] is not None:
        lines["bits that are sure"] = (done, [float(look["saturated"]) for look in looks])
    lines["ones of the bit with most"] = (done, [float(most) for _, _, most in balance])
    lines["ones of the bit with fewest"] = (done, [float(least) for least, _, _ in balance])
    yield curves(f"Codes on the way: {stage}", x, Axis("", 0, 1), lines)
    if looks[0]["noise"] is not None:
        noise = [float(look["noise"]) for look in looks]
        y = Axis("", 0, max(noise))
        yield curves(f"Noise on the logits: {stage}", x, y, {"noise": (done, noise)})
