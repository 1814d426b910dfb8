"""What does the server do? Counters of this process, in the text format of Prometheus (0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping

from hashret.collection import Collection

#: Upper bounds of the buckets of latencies, in seconds.
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """What was counted since the start. Only the event loop counts, so there is no lock."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()  # by route and status
        self._seconds: Counter[str] = Counter()  # by route
        self._buckets: Counter[tuple[str, int]] = Counter()  # by route and bucket
        self._batches = 0
        self._questions = 0
        self._refresh_errors: Counter[str] = Counter()  # by collection

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request; `route` is the template of its path, never the path."""
        self._requests[route, status] += 1
        self._seconds[route] += seconds  # type: ignore[assignment]
        self._buckets[route, bisect_left(_BOUNDS, seconds)] += 1

    def batch(self, n_questions: int) -> None:
        """Count questions that are answered by one call."""
        self._batches += 1
        self._questions += n_questions

    def refresh_error(self, collection: str) -> None:
        """Count a refresh that failed."""
        self._refresh_errors[collection] += 1

    def text(self, collections: Mapping[str, Collection]) -> str:
        """All of it, as Prometheus reads it."""
        lines = _family(
            "hashret_requests_total",
            "counter",
            "Requests by route and status.",
            (
                (f'route="{route}",status="{status}"', count)
                for (route, status), count in sorted(self._requests.items())
            ),
        )
        lines += ["# HELP hashret_request_seconds Time from request to answer, in seconds."]
        lines += ["# TYPE hashret_request_seconds histogram"]
        for route in sorted(self._seconds):
            total = 0
            for place, bound in enumerate([*_BOUNDS, "+Inf"]):
                total += self._buckets[route, place]
                labels = f'route="{route}",le="{bound}"'
                lines.append(f"hashret_request_seconds_bucket{{{labels}}} {total}")
            lines.append(f'hashret_request_seconds_sum{{route="{route}"}} {self._seconds[route]}')
            lines.append(f'hashret_request_seconds_count{{route="{route}"}} {total}')
        lines += _family("hashret_batches_total", "counter", "Calls.", [("", self._batches)])
        lines += _family(
            "hashret_questions_total", "counter", "Questions in calls.", [("", self._questions)]
        )
        named = {name: f'collection="{_escaped(name)}"' for name in collections}
        for name, help_text, values in (
            ("hashret_items", "Items.", {one: len(of) for one, of in collections.items()}),
            ("hashret_commit", "Commit.", {one: of.commit for one, of in collections.items()}),
        ):
            lines += _family(name, "gauge", help_text, ((named[n], v) for n, v in values.items()))
        lines += _family(
            "hashret_refresh_errors_total",
            "counter",
            "Refreshes that failed.",
            ((label, self._refresh_errors[name]) for name, label in named.items()),
        )
        return "\n".join(lines) + "\n"


def _family(
    name: str, kind: str, help_text: str, samples: Iterable[tuple[str, float]]
) -> list[str]:
    lines = [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        lines.append(f"{name}{{{labels}}} {value}" if labels else f"{name} {value}")
    return lines


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
