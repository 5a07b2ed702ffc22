"""Counts of runs for facets, and the reads of spans that facets and search are derived from.

Their cost is bounded for any number of runs in the account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from prefactor_server.domain.listing import Filter
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_instance_facets import (
    FACETS,
    MAX_TYPES,
    MAX_VALUES,
    MetadataCount,
    RunGroup,
)
from prefactor_server.storage import listing as listing_sql
from prefactor_server.storage.listing import Clause

T = TypeVar("T")

_COMPUTED: Final = {
    "abandoned": "abandoned_at IS NOT NULL",
    "has_failed_spans": "failed_spans > 0",
    "risk_level": (
        "(SELECT total.risk_level FROM run_total AS total "
        "WHERE total.account_id = examined.account_id AND total.id = examined.id)"
    ),
}
_COLUMNS: Final = tuple(_COMPUTED.get(name, name) for name in FACETS)
_TIME: Final = "started_at"


class SpanTexts(msgspec.Struct, frozen=True, gc=False):
    """The texts of a span that are searched; ``payload`` and ``result`` are JSON."""

    account_id: str
    agent_instance_id: str
    id: str
    agent_id: str
    environment_id: str
    summary: str | None
    payload: bytes | None
    result: bytes | None


class Facets(Protocol):
    """Counts runs for facets, and reads what facets and search are derived from.

    Raises from every method:
        Unavailable: the database cannot be reached.
    """

    async def run_groups(
        self, account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
    ) -> Sequence[RunGroup]:
        """Group the newest ``limit`` runs ``within`` some filters by their values.

        ``filters`` select which of them match. The first filter of ``within`` limits the examined
        runs; without any, a range of start times does. An external identifier and ids always do.
        """
        ...

    async def span_types(
        self, account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
    ) -> Mapping[str, int]:
        """Count the matching runs among them by the types of their spans.

        Counts at most ``MAX_TYPES`` pairs of run and type.
        """
        ...

    async def metadata_counts(
        self,
        account_id: str,
        within: Sequence[Filter],
        filters: Sequence[Filter],
        limit: int,
        *,
        key: str | None = None,
    ) -> Sequence[MetadataCount]:
        """Count the matching runs among them by the texts in their metadata, of one key or of all.

        Returns the most frequent texts of each key, starting with the most frequent key.
        """
        ...

    async def each_text(
        self, account_id: str, span_ids: Sequence[str], make: Callable[[SpanTexts], T]
    ) -> Sequence[T]:
        """Return the results of ``make`` for spans, computed in a thread, a few at a time."""
        ...

    async def types_of_spans(
        self, account_id: str, span_ids: Sequence[str]
    ) -> Sequence[tuple[str, str]]:
        """Return the distinct pairs of run and type of spans."""
        ...


def _examined(
    account_id: str, within: Sequence[Filter], filters: Sequence[Filter]
) -> tuple[Clause, Clause]:
    """Return the SQL that selects the examined runs in order, and the SQL that tests a match."""
    named = [one for one in filters if one.column in ("external_identifier", "id")]
    times = [one for one in filters if one.column == _TIME]
    # One index gives the candidates, and all other conditions filter them.
    inner = [*named, *within] if named else within[:1] or times
    by_time = inner is times and bool(times)
    examined = listing_sql.where(account_id, inner, AgentInstance._fields, in_order=True)
    matching = listing_sql.where(
        account_id, (*within, *filters), AgentInstance._fields, in_order=True
    )
    order = f"{_TIME} DESC, id DESC" if by_time else "id DESC"
    return examined._replace(sql=f"{examined.sql} ORDER BY {order}"), matching


def run_groups_sql(
    account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
) -> Clause:
    """Return the statement that groups runs."""
    examined, matching = _examined(account_id, within, filters)
    columns = ", ".join(_COLUMNS)
    places = ", ".join(str(place + 1) for place in range(len(_COLUMNS)))
    return Clause(
        f"SELECT {columns}, count(*), count(*) FILTER (WHERE {matching.sql}) "  # noqa: S608 - ours
        f"FROM (SELECT * FROM agent_instance WHERE {examined.sql} LIMIT ?) "
        f"AS examined GROUP BY {places}",
        (*matching.parameters, *examined.parameters, limit),
    )


def span_types_sql(
    account_id: str, within: Sequence[Filter], filters: Sequence[Filter], limit: int
) -> Clause:
    """Return the statement that counts the span types of matching runs."""
    examined, matching = _examined(account_id, within, filters)
    return Clause(
        "SELECT schema_name, count(*) "  # noqa: S608 - ours
        "FROM (SELECT span_type.schema_name AS schema_name "
        f"FROM (SELECT * FROM (SELECT * FROM agent_instance WHERE {examined.sql} LIMIT ?) "
        f"AS examined WHERE {matching.sql}) AS matching "
        "CROSS JOIN run_span_type AS span_type "
        "WHERE span_type.account_id = matching.account_id "
        "AND span_type.agent_instance_id = matching.id LIMIT ?) AS pair GROUP BY schema_name",
        (*examined.parameters, limit, *matching.parameters, MAX_TYPES),
    )


def metadata_counts_sql(
    account_id: str,
    within: Sequence[Filter],
    filters: Sequence[Filter],
    limit: int,
    *,
    key: str | None = None,
) -> Clause:
    """Return the statement that counts the texts in the metadata of matching runs."""
    examined, matching = _examined(account_id, within, filters)
    of_key, keys = ("", ()) if key is None else ("AND entry.key = ? ", (key,))
    return Clause(
        "SELECT key, value, runs, texts FROM (SELECT entry.key AS key, "  # noqa: S608 - ours
        "entry.value AS value, count(*) AS runs, "
        "count(*) OVER (PARTITION BY entry.key) AS texts, "
        "sum(count(*)) OVER (PARTITION BY entry.key) AS key_runs, "
        "row_number() OVER (PARTITION BY entry.key ORDER BY count(*) DESC, entry.value) AS place "
        f"FROM (SELECT * FROM (SELECT * FROM agent_instance WHERE {examined.sql} LIMIT ?) "
        f"AS examined WHERE {matching.sql}) AS matching "
        "CROSS JOIN agent_instance_metadata_entry AS entry "
        "WHERE entry.account_id = matching.account_id "
        f"AND entry.agent_instance_id = matching.id {of_key}"
        "GROUP BY entry.key, entry.value) AS counted "
        "WHERE place <= ? ORDER BY key_runs DESC, key, place",
        (*examined.parameters, limit, *matching.parameters, *keys, MAX_VALUES),
    )


def run_group(record: Sequence[object]) -> RunGroup:
    """Return the group in a record of the statement of ``run_groups_sql``."""
    *values, examined, matching = record
    return RunGroup(tuple(values), examined, matching)  # type: ignore[arg-type]
