"""The counts beside a list of runs."""

from __future__ import annotations

from typing import Literal

from prefactor_http.models.base import ReplyModel


class FacetValue(ReplyModel):
    """A value as its filter takes it, and how many runs it would leave."""

    value: str
    count: int


class Facet(ReplyModel):
    """The most frequent values of a facet."""

    values: list[FacetValue]
    more: int = 0
    """How many other values there are."""


class MetadataFacets(ReplyModel):
    """The facets of the texts in the metadata of runs."""

    keys: dict[str, Facet]
    """By key, the 20 keys of the most runs."""
    more: int = 0
    """How many other keys there are."""


class DerivedState(ReplyModel):
    """How far behind what the server derives from spans is."""

    behind_seconds: float
    complete: bool
    """False while what was stored before is being filled in."""


class SearchState(ReplyModel):
    """How far a search for text can be relied on."""

    behind_seconds: float
    """Everything that was recorded until so long ago can be found."""
    complete: bool
    """False while the index is being built."""
    limited: bool
    """Whether more runs may have the words than the 1,000 that a search finds."""


class AgentInstanceFacets(ReplyModel):
    """How many runs each value of each filter would leave."""

    type: Literal["agent_instance_facets"]
    item_count: int
    """How many of the counted runs pass all filters."""
    complete: bool
    """Whether every run was counted."""
    facets: dict[str, Facet]
    """By the name of the filter."""
    metadata: MetadataFacets | None = None
    """The counts of texts by key of the metadata; a filter takes them as `metadata[key]`."""
    derived: DerivedState | None = None
    """How far behind the types of spans and the risk of runs are."""
    search: SearchState | None = None
    """How far a search for text can be relied on; None when no text was asked for."""
