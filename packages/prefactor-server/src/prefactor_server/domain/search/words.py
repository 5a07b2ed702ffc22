"""Splits texts into words, in the same way for stored texts and queries, on every database.

A word is a sequence of letters, their marks and digits, regardless of case, accents, the vowel
points of Arabic and Hebrew, and compatibility forms. Some scripts, such as those of Chinese and
Thai, have no spaces between words, so a sequence of their characters is split into its pairs of
neighbours and its last character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

MAX_WORD: Final = 64
"""Only the first 64 characters of a word are compared.

An index may store them whole, because a query word of that length matches as a prefix.
"""

MAX_QUERY: Final = 200
"""The most characters of a query."""

MAX_TERMS: Final = 16
"""The most words of a query."""

_UNSPACED: Final = (
    "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d"
    "\U00020000-\U0003ffff"
    # Thai, Lao, Burmese and Khmer, without digits and punctuation.
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u103f\u1050-\u108f\u1780-\u17d3"
)
# The blocks in which letters have marks. Beyond U+FFFF, `re` would be much slower.
_BLOCKS_WITH_MARKS: Final = (range(0x300, 0x3000), range(0xA800, 0xAC00))
# Soft hyphens, joiners and word joiners are invisible within a word.
_INVISIBLE: Final = "\u00ad\u200c\u200d\u2060"
_MARKS: Final = _INVISIBLE + "".join(
    chr(code)
    for block in _BLOCKS_WITH_MARKS
    for code in block
    if unicodedata.category(chr(code)) in {"Mn", "Mc"}
)
_LETTERS: Final = f"[^\\W_{_UNSPACED}]"
_RUN: Final = re.compile(f"([{_UNSPACED}]+)|{_LETTERS}+(?:[{_MARKS}]+{_LETTERS}*)*")
# Translates an ASCII text to lower case, and all but letters and digits to spaces.
_ASCII_WORDS: Final = str.maketrans(
    {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}
)
# Accents, the points of Hebrew and Arabic, the Arabic letter that only stretches a word, and what
# is invisible.
_ACCENTS: Final = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f"
    f"\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed{_INVISIBLE}]+"
)
# Shorter prefixes match too many words.
_MIN_PREFIX: Final = 3
# Not a letter or digit of any script, so no word of a text is equal to a scope.
_SCOPE_MARK: Final = "\ue000"


class Term(NamedTuple):
    """A word of a query. A prefix also matches words that begin with it."""

    word: str
    is_prefix: bool


class WordAt(NamedTuple):
    """A word of a text, and its position."""

    word: str
    start: int


def words_in(text: str) -> set[str]:
    """Return the distinct words of a text."""
    if text.isascii():
        # Runs for the text of every span. Most are ASCII, for which functions in C suffice.
        return {word[:MAX_WORD] for word in set(text.translate(_ASCII_WORDS).split())}
    return {found.word for found in _words(_normal(text))}


def words_with_positions(text: str) -> Iterator[WordAt]:
    """Yield the words of a text in order, with their positions."""
    for found in _RUN.finditer(text):
        for word, start in _words(_normal(found[0])):
            yield WordAt(word, found.start() + start)


def terms_of(query: str) -> tuple[Term, ...]:
    """Return the distinct words of a query, which has no operators.

    A word of three or more characters is also a prefix. A shorter one only matches itself.
    """
    terms: dict[Term, None] = {}
    for found in _RUN.finditer(_normal(query)):
        run = found[0]
        if found[1] is None:
            terms[Term(run[:MAX_WORD], _is_prefix(run))] = None
        elif len(run) == 1:
            terms[Term(run, is_prefix=True)] = None
        else:
            terms.update(
                (Term(run[index : index + 2], is_prefix=False), None)
                for index in range(len(run) - 1)
            )
    return tuple(terms)


@lru_cache(maxsize=1024)
def scope_word(kind: str, row_id: str) -> str:
    """Return the word that marks the texts of an account, an agent or an environment."""
    digest = blake2b(f"{kind}:{row_id}".encode(), digest_size=10).hexdigest()
    return _SCOPE_MARK + digest


@lru_cache(maxsize=1024)
def scopes_of_span(account_id: str, agent_id: str, environment_id: str) -> tuple[str, ...]:
    """Return the words that mark the account, agent and environment of a span."""
    return (
        scope_word("account", account_id),
        scope_word("agent", agent_id),
        scope_word("environment", environment_id),
    )


def matches(term: Term, word: str) -> bool:
    """Return whether a term matches a word of a text."""
    return word.startswith(term.word) if term.is_prefix else word == term.word


def _is_prefix(run: str) -> bool:
    return len(run) >= _MIN_PREFIX or not run.isascii()


def _words(plain: str) -> Iterator[WordAt]:
    for found in _RUN.finditer(plain):
        run, start = found[0], found.start()
        if found[1] is None:
            yield WordAt(run[:MAX_WORD], start)
        else:
            for index in range(len(run)):
                yield WordAt(run[index : index + 2], start + index)


def _normal(text: str) -> str:
    if text.isascii():
        return text.lower()
    # Some characters change case only once they are decomposed.
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    # Remove accents, and compose all other characters again.
    return unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed))
