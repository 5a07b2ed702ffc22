"""Facets of a list of runs: the number of runs that each value of a filter would leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

FACETS: Final = (
    "status",
    "agent_id",
    "agent_version_id",
    "environment_id",
    "purpose",
    "risk_level",
    "abandoned",
    "has_failed_spans",
)
"""The facets that runs are counted by, in the order of a group's values."""

MAX_EXAMINED: Final = 2000
"""The most runs that are counted, newest first."""

MAX_TYPES: Final = 100_000
"""The most pairs of a run and one of its span types that are counted."""

MAX_VALUES: Final = 20
"""The most values of a facet that are listed, most frequent first."""


class RunGroup(NamedTuple):
    """Runs with the same values: the number examined and the number that match.

    ``values`` are in the order of ``FACETS``.
    """

    values: tuple[str | int | None, ...]
    examined: int
    matching: int


class FacetValue(NamedTuple):
    """A value and the number of runs that have it."""

    value: str
    runs: int


class Facet(NamedTuple):
    """The most frequent values of a facet, and the number of other values."""

    values: Sequence[FacetValue]
    more: int


MAX_METADATA_KEYS: Final = 20
"""The most metadata keys that are listed, most frequent first."""


class MetadataCount(NamedTuple):
    """How many runs have a text under a key, and how many distinct texts the key has."""

    key: str
    text: str
    runs: int
    texts: int


class MetadataFacets(NamedTuple):
    """A facet for each of the most frequent keys, and the number of other keys."""

    keys: Mapping[str, Facet]
    more: int


Chosen = Mapping[str, Collection[str]]
"""The values that the caller's filters allow, by facet."""


def group_values(record: Sequence[str | int | None]) -> tuple[str | None, ...]:
    """Return the values of a group as filters spell them, with None for a missing value."""
    *texts, abandoned, has_failed_spans = record
    values = (None if text is None else str(text) for text in texts)
    flags = ("true" if flag else "false" for flag in (abandoned, has_failed_spans))
    return (*values, *flags)


def matching_total(groups: Sequence[RunGroup], chosen: Chosen) -> int:
    """Return the number of runs that pass all chosen filters."""
    return sum(
        group.matching
        for group in groups
        if not _failed_filters(group_values(group.values), chosen)
    )


def count_facets(groups: Sequence[RunGroup], chosen: Chosen) -> Mapping[str, Facet]:
    """Count runs by each facet, applying every filter except the facet's own."""
    counters: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    for group in groups:
        if not group.matching:
            continue
        values = group_values(group.values)
        failed = _failed_filters(values, chosen)
        if not failed:
            counted = tuple(FACETS)
        elif len(failed) == 1:
            counted = tuple(failed)
        else:
            continue
        for name in counted:
            value = values[FACETS.index(name)]
            if value is not None:
                counters[name][value] += group.matching
    return {name: top_values(counter) for name, counter in counters.items()}


def _failed_filters(values: Sequence[str | None], chosen: Chosen) -> list[str]:
    return [name for name, allowed in chosen.items() if values[FACETS.index(name)] not in allowed]


def top_values(counter: Mapping[str, int]) -> Facet:
    """Return the facet for a count by value."""
    # The value breaks ties, so that the same runs always give the same order.
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    shown = [FacetValue(value, count) for value, count in ordered[:MAX_VALUES]]
    return Facet(shown, len(ordered) - len(shown))


def metadata_facets(counts: Sequence[MetadataCount]) -> Mapping[str, Facet]:
    """Return the facets for counts whose keys and texts are in display order."""
    by_key: dict[str, list[MetadataCount]] = {}
    for one in counts:
        by_key.setdefault(one.key, []).append(one)
    return {
        key: Facet([FacetValue(one.text, one.runs) for one in found], found[0].texts - len(found))
        for key, found in by_key.items()
    }
