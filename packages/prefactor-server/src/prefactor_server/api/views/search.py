"""How the result of a search for text is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from prefactor_server.api.views.agent_instance import AgentInstanceSummary, MatchView
from prefactor_server.api.views.base import Listed
from prefactor_server.domain.derived import DerivedState
from prefactor_server.queries.search import Found, Shown

_US: int = 1_000_000


class SearchView(msgspec.Struct, frozen=True, kw_only=True):
    """How far a search can be relied on.

    The index has everything that was recorded until ``behind_seconds`` ago. It is ``complete``
    unless it is still being built. ``limited`` means that more runs may have the words than the
    1,000 that a search finds.
    """

    behind_seconds: float
    complete: bool
    limited: bool


class DerivedView(msgspec.Struct, frozen=True, kw_only=True):
    """How far filters can be relied on that look at what the server derives from spans.

    They know everything that was recorded until ``behind_seconds`` ago, and are ``complete`` unless
    what was stored before is still being filled in.
    """

    behind_seconds: float
    complete: bool


class ListedRuns(Listed[AgentInstanceSummary], kw_only=True, frozen=True):
    """A page of runs.

    ``search`` is there if a text was asked for, ``derived`` with schema_name, risk_level and
    min_cost.
    """

    search: SearchView | msgspec.UnsetType = msgspec.UNSET
    derived: DerivedView | msgspec.UnsetType = msgspec.UNSET


def derived_view(state: DerivedState) -> DerivedView:
    """Return the view of how far derived rows are behind."""
    return DerivedView(behind_seconds=state.behind_us / _US, complete=state.complete)


def search_view(found: Found) -> SearchView:
    """Return the view of how far a search can be relied on."""
    return SearchView(
        behind_seconds=found.state.behind_us / _US,
        complete=found.state.complete,
        limited=not found.complete,
    )


def with_matches(
    summaries: Sequence[AgentInstanceSummary], shown: Mapping[str, Shown]
) -> Sequence[AgentInstanceSummary]:
    """Return runs with where the words were found."""
    return [
        msgspec.structs.replace(one, match=MatchView(*shown[one.id]) if one.id in shown else None)
        for one in summaries
    ]
