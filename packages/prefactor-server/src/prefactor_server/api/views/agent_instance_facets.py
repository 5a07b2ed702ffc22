"""The views of facets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from prefactor_server.api.views.search import DerivedView, SearchView, derived_view, search_view
from prefactor_server.domain.derived import DerivedState
from prefactor_server.domain.runs.agent_instance_facets import Facet
from prefactor_server.queries.runs.agent_instance_facets import RunFacets
from prefactor_server.queries.search import Found


class FacetValueView(msgspec.Struct, frozen=True):
    """A value of a filter, and the number of runs that would pass it."""

    value: str
    count: int


class FacetView(msgspec.Struct, frozen=True):
    """The most frequent values of a facet, and the number of other values."""

    values: Sequence[FacetValueView]
    more: int


class FacetsView(msgspec.Struct, frozen=True):
    """The facets, each under the name of its filter."""

    status: FacetView
    agent_id: FacetView
    agent_version_id: FacetView
    environment_id: FacetView
    purpose: FacetView
    abandoned: FacetView
    has_failed_spans: FacetView
    risk_level: FacetView
    schema_name: FacetView


class MetadataFacetsView(msgspec.Struct, frozen=True):
    """A facet for each of the 20 most frequent keys, and the number of other keys."""

    keys: Mapping[str, FacetView]
    more: int


class AgentInstanceFacetsView(msgspec.Struct, frozen=True, kw_only=True):
    """The facets of a list of runs.

    ``item_count`` is the number of counted runs that pass all filters. Counts are ``complete``
    unless there are more than 2,000 runs, of which the newest are counted.
    """

    type: Literal["agent_instance_facets"] = "agent_instance_facets"
    item_count: int
    complete: bool
    facets: FacetsView
    metadata: MetadataFacetsView
    derived: DerivedView
    search: SearchView | msgspec.UnsetType = msgspec.UNSET


def show_facets(
    counted: RunFacets, found: Found | None, derived: DerivedState
) -> AgentInstanceFacetsView:
    """Return the view of facets."""
    return AgentInstanceFacetsView(
        item_count=counted.matching,
        complete=counted.complete,
        facets=FacetsView(**{name: _facet(facet) for name, facet in counted.facets.items()}),
        metadata=MetadataFacetsView(
            {key: _facet(facet) for key, facet in counted.metadata.keys.items()},
            counted.metadata.more,
        ),
        derived=derived_view(derived),
        search=msgspec.UNSET if found is None else search_view(found),
    )


def _facet(facet: Facet) -> FacetView:
    return FacetView([FacetValueView(*value) for value in facet.values], facet.more)
