"""P2: what was acknowledged survives power loss, and no sync of the code is there for nothing."""

from tests.torture.scale import LONG, say
from tests.torture.test_p1_p3 import base, break_it, library, pytestmark

__all__ = ["base", "library", "pytestmark"]  # fixtures


def test_p2_a_power_loss_at_any_point_loses_nothing_acknowledged(library, base, tmp_path):
    found = break_it(library, base, tmp_path / "w", "lose", 20_400 if LONG else 300)
    assert found["bad"] == []
    assert found["states"] >= (20_000 if LONG else 300)
    assert found["syncs"] >= 15
    assert found["unnoticed"] == [], "a sync that can be left out without the harness noticing"
    say("P2", f"{found['states']} states, 0 bad; each of {found['syncs']} syncs left out: noticed")
