"""The counts of a list of runs."""

from __future__ import annotations

from typing import Literal

from prefactor_http.models.base import ReplyModel


class FacetValue(ReplyModel):
    """A value of a filter, and the number of runs that it would leave."""

    value: str
    count: int


class Facet(ReplyModel):
    """The most frequent values of a facet."""

    values: list[FacetValue]
    more: int = 0
    """The number of other values."""


class MetadataFacets(ReplyModel):
    """The facets of the texts in the metadata of runs."""

    keys: dict[str, Facet]
    """The 20 most frequent keys."""
    more: int = 0
    """The number of other keys."""


class DerivedState(ReplyModel):
    """The lag of data that the server derives from spans."""

    behind_seconds: float
    complete: bool
    """False during the backfill of older runs."""


class SearchState(ReplyModel):
    """The freshness and completeness of a text search."""

    behind_seconds: float
    """The index contains everything recorded until this many seconds ago."""
    complete: bool
    """False while the index is being built."""
    limited: bool
    """Whether more than the 1,000 runs found may contain the words."""


class AgentInstanceFacets(ReplyModel):
    """The number of runs that each value of each filter would leave."""

    type: Literal["agent_instance_facets"]
    item_count: int
    """The number of counted runs that pass all filters."""
    complete: bool
    """Whether every run was counted."""
    facets: dict[str, Facet]
    """By the name of the filter."""
    metadata: MetadataFacets | None = None
    """The counts of texts by key of the metadata; a filter takes them as `metadata[key]`."""
    derived: DerivedState | None = None
    """The lag of the span types and the risk of runs."""
    search: SearchState | None = None
    """The freshness of a text search; None without one."""
