"""Exports as JSON Lines: of one run, or of everything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from prefactor_server.domain.listing import Filter
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.queries.runs.export import ExportQueries
from prefactor_server.storage.base import SpanRecord
from prefactor_server.transfer.lines import Visible, encode_line, end_line, head_line, members_of


class Selection(NamedTuple):
    """What of an account is exported: runs after an id, those that filters pass, of an agent."""

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


async def run_as_jsonl(
    queries: ExportQueries, run: AgentInstance, visible: Visible, *, masked: bool, account: bool
) -> AsyncIterator[bytes]:
    """Yield the lines of one run, in pieces.

    With ``account``, also what belongs to the account rather than to the run.
    """
    spans = 0
    around = await queries.around(run, whole_account=account)
    yield head_line(run.account_id, masked=masked) + b"".join(
        encode_line(members_of(row, visible)) for row in around
    )
    async for rows in queries.of_run(run, with_alerts=account):
        spans += sum(isinstance(row, SpanRecord) for row in rows)
        yield b"".join(encode_line(members_of(row, visible)) for row in rows)
    yield end_line(1, spans)


async def all_as_jsonl(
    queries: ExportQueries, selection: Selection, on_run: Callable[[str], None]
) -> AsyncIterator[bytes]:
    """Yield the lines of many runs; ``on_run`` is told the id of each that is complete."""
    account_id = selection.account_id
    yield head_line(account_id, masked=False)
    async for rows in queries.of_account(account_id, selection.agent_id):
        yield b"".join(encode_line(members_of(row, _all)) for row in rows)
    runs = spans = 0
    async for run in queries.runs(account_id, selection.run_filters, selection.after):
        async for rows in queries.of_run(run, with_alerts=True):
            spans += sum(isinstance(row, SpanRecord) for row in rows)
            yield b"".join(encode_line(members_of(row, _all)) for row in rows)
        runs += 1
        on_run(run.id)
    yield end_line(runs, spans)


def _all(document: bytes) -> bytes:
    return document
