"""The index of words: its rows, and the matches of a search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

NAME: Final = "search"
"""The consumer of the change feed that keeps the index up to date."""

MAX_SPANS: Final = 5000
"""The most matching spans that a search reads, newest first."""

MAX_RUNS: Final = 1000
"""The most runs that a search returns."""


class SearchDocument(NamedTuple):
    """The words of a span, for the index; ``is_cut`` if its text was too long."""

    account_id: str
    agent_instance_id: str
    span_id: str
    is_cut: bool
    words: str


class Match(NamedTuple):
    """A run with a span that contains all words; ``span_id`` is the newest such span."""

    agent_instance_id: str
    span_id: str
    is_cut: bool


class Matches(NamedTuple):
    """One match for each run that was found; not ``complete`` if there may be more."""

    found: Sequence[Match]
    complete: bool


def first_of_each_run(spans: Iterable[Match | None]) -> Matches:
    """Return one match for each run, from matching spans in order.

    None means that there may be more spans. Spans beyond what is returned are not read.
    """
    found: dict[str, Match] = {}
    for count, match in enumerate(spans, 1):
        if match is None or (match.agent_instance_id not in found and len(found) == MAX_RUNS):
            return Matches(list(found.values()), complete=False)
        found.setdefault(match.agent_instance_id, match)
        if count == MAX_SPANS:
            return Matches(list(found.values()), complete=False)
    return Matches(list(found.values()), complete=True)
