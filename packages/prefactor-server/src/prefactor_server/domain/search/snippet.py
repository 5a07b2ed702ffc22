"""A snippet of a text around the first match of a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prefactor_server.domain.search.words import Term, matches, words_with_positions

_BEFORE: Final = 60
_LENGTH: Final = 200
_ELLIPSIS: Final = "…"


def snippet(text: str, terms: Sequence[Term]) -> str | None:
    """Return the text around the first match of one of the terms, or None without a match.

    Characters are as recorded, except that consecutive white space becomes one space.
    """
    for word, start in words_with_positions(text):
        if any(matches(term, word) for term in terms):
            return _around(text, start)
    return None


def _around(text: str, start: int) -> str:
    begin = max(start - _BEFORE, 0)
    end = begin + _LENGTH
    if begin:
        # Begin at a word, if one begins between here and the match.
        space = text.find(" ", begin, start)
        begin = space + 1 if space >= 0 else begin
    shown = " ".join(text[begin:end].split())
    before = _ELLIPSIS if begin else ""
    return f"{before}{shown}{_ELLIPSIS if end < len(text) else ''}"
