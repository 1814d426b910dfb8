"""How are codes of a user's own vectors learned? Two towers, begun at the best rotation (ITQ)."""
