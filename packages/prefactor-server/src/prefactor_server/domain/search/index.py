"""The index of words: its rows, and what is found in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

NAME: Final = "search"
"""The consumer of the change feed that keeps the index up to date."""

MAX_SPANS: Final = 5000
"""How many of the spans with all words are looked at, the newest first."""

MAX_RUNS: Final = 1000
"""How many runs a search finds."""


class SearchDocument(NamedTuple):
    """The words of a span as its index takes them; ``is_cut`` when its text was too long."""

    account_id: str
    agent_instance_id: str
    span_id: str
    is_cut: bool
    words: str


class Match(NamedTuple):
    """A run in which all words were found together, and the newest span that has them."""

    agent_instance_id: str
    span_id: str
    is_cut: bool


class Matches(NamedTuple):
    """The runs found, one match each; not ``complete`` when there may be more."""

    found: Sequence[Match]
    complete: bool


def first_of_each_run(spans: Iterable[Match]) -> Matches:
    """Return what a search found, from the spans that it found."""
    found: dict[str, Match] = {}
    number = 0
    for number, one in enumerate(spans, 1):  # noqa: B007 - it is used below
        found.setdefault(one.agent_instance_id, one)
    complete = number < MAX_SPANS and len(found) <= MAX_RUNS
    return Matches(list(found.values())[:MAX_RUNS], complete)
