"""Find where the sentences of a text begin, in any script.

By the properties of Unicode that UAX #29 (sentence boundaries) uses, and more cautious than it: a
boundary that is missed joins two sentences, which does little harm; a wrong one would cut a
sentence.
"""

from __future__ import annotations

from collections.abc import Iterator

import regex

# Marks that end a sentence, closing marks, white space, opening marks, and what comes then. Each is
# taken whole, and a run of marks is tried from its first only, so the time is linear.
_END = regex.compile(
    r"""(?<![\p{STerm}…])(?P<marks>[\p{STerm}…]++)(?P<close>[\p{Pe}\p{Pf}\p{Pi}"']*+)"""
    r"""(?P<space>\s*+)[\p{Ps}\p{Pi}\p{Pf}"'¿¡]*+(?=(?P<next>[^\s\p{STerm}…]))"""
)
#: Marks that end a sentence only before white space.
_SPACED = ".!?…"
_MAX_ABBREVIATION = 16  # characters before a dot that are looked at
_OPENING = "([{<\"'“‘„«»‹›"
# What a dot behind does not end a sentence: titles and abbreviations that names or numbers follow.
_ABBREVIATIONS = """
    mr mrs ms dr prof st sr jr rev hon gen col capt lt sgt messrs mme mlle hr fr sra
    vs cf al etc ca approx est no nr nos vol vols ed eds fig figs figure eq eqs sec secs ch chap
    p pp para art tab ref refs bd bzw usw vgl evtl ggf inkl z.b d.h resp inc ltd corp co bros
    jan feb mar apr jun jul aug sep sept oct nov dec dept univ av ave blvd rd mt ft
"""
_NO_ENDS = frozenset(_ABBREVIATIONS.split())


def sentence_starts(text: str) -> Iterator[int]:
    """Where each sentence but the first begins, increasing."""
    for end in _END.finditer(text):
        marks, space = end["marks"], end["space"]
        if marks[-1] not in _SPACED:
            # Ideographic full stops and the like need no space. They stand in numbers too, and
            # within a sentence that quotes another.
            if space or not (end["close"] or end["next"].isnumeric()):
                yield end.end("space")
        elif (
            space
            and not end["next"].islower()
            and (marks != "." or not _is_abbreviated(text, end.start()))
        ):
            yield end.end("space")


def _is_abbreviated(text: str, dot: int) -> bool:
    """Whether the word before a dot is an abbreviation, an initial or an ordinal number."""
    before = text[max(0, dot - _MAX_ABBREVIATION) : dot].split()
    word = before[-1].lstrip(_OPENING) if before else ""
    if len(word) == 1 or word.casefold() in _NO_ENDS:
        return True
    parts = word.split(".")  # "e.g", "U.S", "Ph.D"
    is_dotted = len(parts) > 1 and all(part.isalpha() and len(part) <= 2 for part in parts)
    return is_dotted or (len(word) == 2 and word.isdecimal())
