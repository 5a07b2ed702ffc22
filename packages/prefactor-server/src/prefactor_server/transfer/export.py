"""Exports of one run or of many, in any encoding."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple, Protocol

from prefactor_server.domain.listing import Filter
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.queries.runs.export import ExportedRow, ExportQueries, RunOrigin
from prefactor_server.storage.base import SpanRecord
from prefactor_server.transfer.lines import Visible

MAX_CACHED: Final = 1000
"""The most combinations of agent, version and environment that are cached."""


class Encoding(Protocol):
    """The format of an export, which consists of the returned pieces in order."""

    def begin(self, account_id: str, *, masked: bool) -> bytes:
        """Return the beginning of an export of an account."""
        ...

    def rows(
        self, rows: Sequence[ExportedRow], visible: Visible, origin: RunOrigin | None
    ) -> bytes:
        """Return rows in the view of a reader. Rows of a run come with its ``origin``."""
        ...

    def end(self, runs: int, spans: int) -> bytes:
        """Return the end of an export."""
        ...


class Selection(NamedTuple):
    """The part of an account to export: runs by agent and filters, after an id."""

    account_id: str
    agent_id: str | None = None
    filters: tuple[Filter, ...] = ()
    after: str | None = None

    @property
    def run_filters(self) -> tuple[Filter, ...]:
        """The filters of runs."""
        if self.agent_id is None:
            return self.filters
        return (*self.filters, Filter("agent_id", "=", self.agent_id))


async def export_run(
    queries: ExportQueries,
    encoding: Encoding,
    run: AgentInstance,
    visible: Visible,
    *,
    masked: bool,
    account: bool,
) -> AsyncIterator[bytes]:
    """Yield the export of one run, in pieces.

    With ``account``, it includes rows that belong to the account rather than to the run.
    """
    spans = 0
    around = await queries.around(run, whole_account=account)
    origin = await Origins(queries).of(run)
    yield encoding.begin(run.account_id, masked=masked) + encoding.rows(around, visible, None)
    async for rows in queries.of_run(run, with_alerts=account):
        spans += sum(isinstance(row, SpanRecord) for row in rows)
        yield encoding.rows(rows, visible, origin)
    yield encoding.end(1, spans)


async def export_all(
    queries: ExportQueries, encoding: Encoding, selection: Selection, on_run: Callable[[str], None]
) -> AsyncIterator[bytes]:
    """Yield the export of many runs. ``on_run`` receives the id of each exported run."""
    account_id = selection.account_id
    yield encoding.begin(account_id, masked=False)
    async for rows in queries.of_account(account_id, selection.agent_id):
        yield encoding.rows(rows, unmasked, None)
    runs = spans = 0
    origins = Origins(queries)
    async for run in queries.runs(account_id, selection.run_filters, selection.after):
        origin = await origins.of(run)
        async for rows in queries.of_run(run, with_alerts=True):
            spans += sum(isinstance(row, SpanRecord) for row in rows)
            yield encoding.rows(rows, unmasked, origin)
        runs += 1
        on_run(run.id)
    yield encoding.end(runs, spans)


def unmasked(document: bytes) -> bytes:
    """Return a document unchanged, for a reader who may see all of it."""
    return document


class Origins:
    """Reads the agents, versions and environments of runs, and caches them."""

    def __init__(self, queries: ExportQueries) -> None:
        self._queries = queries
        self._known: dict[tuple[str, str, str], RunOrigin] = {}

    async def of(self, run: AgentInstance) -> RunOrigin:
        """Return a run with its agent, version and environment."""
        key = (run.agent_id, run.agent_version_id, run.environment_id)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MAX_CACHED:
                self._known.clear()
            found = self._known[key] = await self._queries.origin(run)
        return found._replace(run=run)
