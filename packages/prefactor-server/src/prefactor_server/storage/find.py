"""What finds runs: reads that are bounded however many runs an account has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from prefactor_server.domain.listing import Filter
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_instance_facets import FACETS, RunGroup
from prefactor_server.storage import listing as listing_sql
from prefactor_server.storage.listing import Clause

_COLUMNS: Final = tuple(
    "failed_spans > 0" if name == "has_failed_spans" else name for name in FACETS
)
_TIME: Final = "started_at"


class RunFinder(Protocol):
    """The bounded reads of one database.

    Raises from every method:
        Unavailable: the database cannot be reached.
    """

    async def run_groups(
        self, account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
    ) -> Sequence[RunGroup]:
        """Group the newest ``limit`` runs ``within`` some filters by their values.

        ``filters`` decide which of them match. The first of ``within`` narrows what is examined;
        without any, a range of starts does. An external identifier and ids always do.
        """
        ...


def run_groups_sql(
    account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
) -> Clause:
    """The statement that groups runs."""
    named = [one for one in filters if one.column in ("external_identifier", "id")]
    times = [one for one in filters if one.column == _TIME]
    # One index at a time says where to begin; everything else decides among what it gives.
    inner = [*named, *within] if named else within[:1] or times
    by_time = inner is times and bool(times)
    examined = listing_sql.where(account_id, inner, AgentInstance._fields, in_order=True)
    matching = listing_sql.where(
        account_id, (*within, *filters), AgentInstance._fields, in_order=True
    )
    order = f"{_TIME} DESC, id DESC" if by_time else "id DESC"
    columns = ", ".join(_COLUMNS)
    places = ", ".join(str(place + 1) for place in range(len(_COLUMNS)))
    return Clause(
        f"SELECT {columns}, count(*), count(*) FILTER (WHERE {matching.sql}) "  # noqa: S608 - ours
        f"FROM (SELECT * FROM agent_instance WHERE {examined.sql} ORDER BY {order} LIMIT ?) "
        f"AS examined GROUP BY {places}",
        (*matching.parameters, *examined.parameters, limit),
    )


def run_group(record: Sequence[object]) -> RunGroup:
    """The group in a record of that statement."""
    *values, examined, matching = record
    return RunGroup(tuple(values), examined, matching)  # type: ignore[arg-type]
