"""The views of the result of a text search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from prefactor_server.api.views.agent_instance import AgentInstanceSummary, MatchView
from prefactor_server.api.views.base import Listed
from prefactor_server.domain.derived import DerivedState
from prefactor_server.domain.times import SECOND_US
from prefactor_server.queries.search import Found, Shown


class SearchView(msgspec.Struct, frozen=True, kw_only=True):
    """The freshness of a search.

    The index contains everything that was recorded until ``behind_seconds`` ago. ``complete`` is
    false while it is still being built. ``limited`` means that more runs than the 1,000 found may
    contain the words.
    """

    behind_seconds: float
    complete: bool
    limited: bool


class DerivedView(msgspec.Struct, frozen=True, kw_only=True):
    """The freshness of filters on what the server derives from spans.

    They reflect everything that was recorded until ``behind_seconds`` ago. ``complete`` is false
    during the backfill of older runs.
    """

    behind_seconds: float
    complete: bool


class ListedRuns(Listed[AgentInstanceSummary], kw_only=True, frozen=True):
    """A page of runs.

    ``search`` is present in text searches, ``derived`` with the filters schema_name, risk_level and
    min_cost.
    """

    search: SearchView | msgspec.UnsetType = msgspec.UNSET
    derived: DerivedView | msgspec.UnsetType = msgspec.UNSET


def derived_view(state: DerivedState) -> DerivedView:
    """Return the view of the lag of derived rows."""
    return DerivedView(behind_seconds=state.behind_us / SECOND_US, complete=state.complete)


def search_view(found: Found) -> SearchView:
    """Return the view of the freshness of a search."""
    return SearchView(
        behind_seconds=found.state.behind_us / SECOND_US,
        complete=found.state.complete,
        limited=not found.complete,
    )


def with_matches(
    summaries: Sequence[AgentInstanceSummary], shown: Mapping[str, Shown]
) -> Sequence[AgentInstanceSummary]:
    """Return the runs with the places where the words were found."""
    return [
        msgspec.structs.replace(one, match=MatchView(*shown[one.id]) if one.id in shown else None)
        for one in summaries
    ]
