"""Small corpora with known topics, made by the tests themselves."""

from __future__ import annotations

import numpy as np

from hashret.items import Item

_WORDS = """
sea: ship harbour sail anchor captain wave tide deck voyage sailor island storm mast
kitchen: bread oven flour butter recipe salt dough bake pan sugar taste soup knife
space: orbit rocket planet star moon launch gravity comet telescope galaxy crater probe
music: violin melody rhythm choir piano chord song orchestra tune singer tempo flute
"""
TOPICS = {
    topic: words.split()
    for topic, words in (line.split(":") for line in _WORDS.strip().splitlines())
}
_COMMON = ["the", "a", "of", "and", "to", "in", "with", "for", "from", "very", "then"]


def topic_items(n: int = 120, seed: int = 0) -> list[Item]:
    """n short texts, item i about topic i % 4; ids "sea-000" and so on; metadata topic, year."""
    rng = np.random.default_rng(seed)
    items = []
    for i in range(n):
        topic = list(TOPICS)[i % len(TOPICS)]
        words = [*rng.choice(TOPICS[topic], 14), *rng.choice(_COMMON, 6)]
        rng.shuffle(words)
        metadata = {"topic": topic, "year": 2000 + i % 20}
        items.append(Item(f"{topic}-{i:03}", " ".join(words), metadata))
    return items


def clustered_vectors(n: int = 120, width: int = 24, seed: int = 0) -> np.ndarray:
    """(n, width) float32 in 4 clusters; row i belongs to cluster i % 4."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(4, width)) * 3
    return (centres[np.arange(n) % 4] + rng.normal(size=(n, width))).astype(np.float32)


def series(n: int = 120, width: int = 2, seed: int = 0) -> list[np.ndarray]:
    """n series of `width` numbers a step, 5 to 16 steps long; series i has the course i % 4."""
    rng = np.random.default_rng(seed)
    courses = (np.sin, np.cos, np.negative, np.abs)
    found = []
    for i in range(n):
        times = np.linspace(-2.0, 2.0, int(rng.integers(5, 17)))
        course = courses[i % 4](times)[:, None] * np.arange(1, width + 1)
        found.append((course + 0.1 * rng.normal(size=course.shape)).astype(np.float32))
    return found


def orders(n: int = 120, seed: int = 0) -> list[list[str]]:
    """n sequences of six tokens, each gone through twice; sequence i has the order i % 4."""
    rng = np.random.default_rng(seed)
    tokens = ["open", "read", "write", "seek", "sync", "close"]
    ways = [rng.permutation(6) for _ in range(4)]
    found = []
    for i in range(n):
        steps = np.tile(ways[i % 4], 2)
        at = int(rng.integers(0, 11))
        steps[[at, at + 1]] = steps[[at + 1, at]]
        found.append([tokens[step] for step in steps])
    return found
