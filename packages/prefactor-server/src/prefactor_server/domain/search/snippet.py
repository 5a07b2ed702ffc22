"""A snippet of a text around the first match of a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prefactor_server.domain.search.words import Term, matches, places_in

_BEFORE: Final = 60
_LENGTH: Final = 200
_ELLIPSIS: Final = "…"


def snippet(text: str, terms: Sequence[Term]) -> str | None:
    """Return the text around the first place where one of the terms is found.

    None when none is. What is returned is text, with every character as it was recorded, except
    that white space is one space.
    """
    for word, start in places_in(text):
        if any(matches(term, word) for term in terms):
            return _around(text, start)
    return None


def _around(text: str, start: int) -> str:
    begin = max(start - _BEFORE, 0)
    end = begin + _LENGTH
    if begin:
        # At the beginning of a word, if one begins before the match.
        space = text.find(" ", begin, start)
        begin = space + 1 if space >= 0 else begin
    shown = " ".join(text[begin:end].split())
    before = _ELLIPSIS if begin else ""
    return f"{before}{shown}{_ELLIPSIS if end < len(text) else ''}"
