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


class AgentInstanceFacets(ReplyModel):
    """How many runs each value of each filter would leave."""

    type: Literal["agent_instance_facets"]
    item_count: int
    """How many of the counted runs pass all filters."""
    complete: bool
    """Whether every run was counted."""
    facets: dict[str, Facet]
    """By the name of the filter."""
