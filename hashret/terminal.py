"""What a stranger wrote, made safe to show on a terminal.

An id or a text may hold characters that a terminal obeys: they move the cursor, rename the window,
hide a line, or turn the order of letters around, so that what is shown is not what is there.
"""

from __future__ import annotations

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
# Unicode Standard, chapter 23.2: what turns the order of the letters that follow.
_DIRECTIONS = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_SHOWN = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (*_CONTROLS, *_DIRECTIONS)
}


def shown(text: str) -> str:
    r"""The text with every control character as an escape, ``\x1b``; one line stays one line."""
    return text.translate(_SHOWN)
