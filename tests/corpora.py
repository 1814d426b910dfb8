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
