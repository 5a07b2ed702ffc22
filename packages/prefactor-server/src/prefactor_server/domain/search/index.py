"""The index of words: its rows, and the matches of a search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

NAME: Final = "search"
"""The consumer of the change feed that keeps the index up to date."""

MAX_SPANS: Final = 5000
"""How many matching spans a search reads, the newest first."""

MAX_RUNS: Final = 1000
"""How many runs a search returns."""


class SearchDocument(NamedTuple):
    """The words of a span for its index; ``is_cut`` if its text was too long."""

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
    """The runs found, one match each; not ``complete`` if there may be more."""

    found: Sequence[Match]
    complete: bool


def first_of_each_run(spans: Iterable[Match]) -> Matches:
    """Return one match for each run, from matching spans in order."""
    found: dict[str, Match] = {}
    number = 0
    for number, one in enumerate(spans, 1):  # noqa: B007 - it is used below
        found.setdefault(one.agent_instance_id, one)
    complete = number < MAX_SPANS and len(found) <= MAX_RUNS
    return Matches(list(found.values())[:MAX_RUNS], complete)
