"""``prefactor runs tail``: shows changes live."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar

import cyclopts

from prefactor_cli.connection import run
from prefactor_cli.failure import FAILED, NOT_FOUND, OK, Failure
from prefactor_cli.flags import Connection, Json, Switch, Texts
from prefactor_cli.output import STATUS_STYLES, Printer, note, print_json
from prefactor_cli.run_tree import GLYPHS, error_of
from prefactor_cli.runs import ENDED, AgentNames, find_run
from prefactor_cli.table import Cell
from prefactor_cli.text import counted, printable
from prefactor_cli.times import took
from prefactor_http import (
    AgentInstance,
    AgentSpan,
    PrefactorHttpClient,
    PrefactorHttpError,
    is_transient_http_error,
)

Lines = Annotated[int, cyclopts.Parameter(validator=cyclopts.validators.Number(gte=0, lte=100))]

T = TypeVar("T")
R = TypeVar("R", AgentInstance, AgentSpan)

_REMEMBERED: Final = 10_000
_FIRST_DELAY: Final = 0.5
_MAX_DELAY: Final = 15.0


def tail_runs(
    run_id: Annotated[str | None, cyclopts.Parameter(name="RUN")] = None,
    /,
    *,
    agent: Texts = (),
    lines: Annotated[Lines, cyclopts.Parameter(name=("--lines", "-n"))] = 10,
    exit_status: Switch = False,
    json: Json = False,
    connection: Connection = None,
) -> int:
    """Follow a run until it ends, or the runs of the account until Ctrl-C.

    With a run: its last spans, and then each span when it starts and when it finishes. Without one:
    each run when it starts and when it ends. A lost connection is reopened, and missed changes are
    shown first.

    Parameters
    ----------
    run_id
        The id or external identifier of a run.
    agent
        Without a run: only runs of this agent, by its id or external identifier. May be repeated.
    lines
        How many earlier spans to show, 0 to 100.
    exit_status
        Exit with 1 if the run ends with another status than complete.
    json
        Print each changed run and span as a JSON object on one line.
    """

    async def work(client: PrefactorHttpClient) -> int:
        if run_id is None:
            await _follow_all(client, agent, as_json=json)
            return OK
        show = _json_printer() if json else _span_printer()
        ended = await _follow(client, (await find_run(client, run_id)).id, lines, show)
        if not json:
            _print_end(ended)
        return FAILED if exit_status and ended.status != "complete" else OK

    return run(connection, work)


Show = Callable[[AgentInstance | AgentSpan], None]


async def _follow(
    client: PrefactorHttpClient, run_id: str, lines: int, show: Show
) -> AgentInstance:
    """Show the last spans of a run, and changes until it ends; return the ended run."""
    seen = _Seen()
    async with client.events(agent_instance_ids=[run_id]) as events:
        async for event in events:
            if event.kind == "changes":
                for span in seen.new(event.spans):
                    show(span)
                if run_id in event.deleted_runs:
                    message = f"The run {run_id!r} has been deleted."
                    raise Failure(message, NOT_FOUND)
                now = next((one for one in event.runs if one.id == run_id), None)
                if now is None or now.status not in ENDED:
                    continue
                return await _retried(lambda: client.agent_instances.get(run_id))
            # The stream began, or changes were lost: show the stored state first.
            if event.kind == "reload":
                note(f"Some changes were missed ({event.reason}); continuing with the latest.")
            latest = await _retried(lambda: _latest(client, run_id, lines))
            for span in seen.new(reversed(latest)):
                show(span)
            now = await _retried(lambda: client.agent_instances.get(run_id))
            if now.status in ENDED:
                return now
    message = "The server ended the stream."
    raise Failure(message, FAILED)


async def _latest(client: PrefactorHttpClient, run_id: str, lines: int) -> list[AgentSpan]:
    if not lines:
        return []
    return await client.agent_spans.list(
        agent_instance_id=run_id, include_summaries=True, sorting="-started_at", page_size=lines
    )


async def _retried(read: Callable[[], Awaitable[T]]) -> T:
    """Read, and retry until the server responds, because following must survive its restart."""
    delay = _FIRST_DELAY
    while True:
        try:
            return await read()
        except PrefactorHttpError as error:
            if not is_transient_http_error(error):
                raise
        await asyncio.sleep(delay)
        delay = min(2 * delay, _MAX_DELAY)


async def _follow_all(client: PrefactorHttpClient, agents: Iterable[str], *, as_json: bool) -> None:
    """Show every run that starts or ends, until interrupted."""
    seen, names, printer = _Seen(), AgentNames(client), Printer()
    async with client.events(agent_ids=agents, include_spans=False) as events:
        note("Following runs. Press Ctrl-C to stop.")
        async for event in events:
            if event.kind == "reload":
                note(f"Some changes were missed ({event.reason}).")
            for one in seen.new(event.runs):
                if as_json:
                    print_json(plain(one))
                    continue
                await names.learn({one.agent_id})
                printer.cells(_run_line(one, names))


def _json_printer() -> Show:
    return lambda row: print_json(plain(row))


def _span_printer() -> Show:
    printer = Printer()
    return lambda row: printer.cells(_span_line(row)) if isinstance(row, AgentSpan) else None


def plain(row: AgentInstance | AgentSpan) -> object:
    """Return a row as JSON: as the server sent it, or the fields that an event contained."""
    return row.raw or row.model_dump(mode="json", exclude_unset=True)


def _span_line(span: AgentSpan) -> list[Cell]:
    """Return one line about a span: its time, status, name and duration."""
    at = span.finished_at or span.started_at or datetime.now(UTC)
    style = STATUS_STYLES.get(span.status, "")
    cells = [
        Cell(f"{at.astimezone():%H:%M:%S}  ", "dim"),
        Cell(GLYPHS.get(span.status, "?"), style),
        Cell(f" {printable(span.schema_title or span.schema_name)}"),
    ]
    if span.summary:
        cells.append(Cell(f"  {printable(span.summary)}"))
    duration = took(span.started_at, span.finished_at)
    cells.append(Cell(f"  {duration or span.status}", "dim"))
    error = error_of(span)
    if error is not None:
        cells.append(Cell(f"  ! {error}", "red"))
    return cells


def _run_line(one: AgentInstance, names: AgentNames) -> list[Cell]:
    at = one.finished_at or one.started_at or one.inserted_at
    duration = took(one.started_at, one.finished_at)
    cells = [
        Cell(f"{at.astimezone():%H:%M:%S}  ", "dim"),
        Cell(f"{one.status:<10}", STATUS_STYLES.get(one.status, "")),
        Cell(f"  {printable(one.id)}  {printable(names.of(one.agent_id))}"),
    ]
    if duration:
        cells.append(Cell(f"  {duration}", "dim"))
    if one.termination_reason:
        cells.append(Cell(f"  {printable(one.termination_reason)}"))
    return cells


def _print_end(ended: AgentInstance) -> None:
    counts = ended.span_counts
    duration = took(ended.started_at, ended.finished_at)
    outcome = f"{ended.status}{f' in {duration}' if duration else ''}"
    if counts is not None:
        outcome += f", {counted(counts.total, 'span')}" + (
            f", {counts.failed} failed" if counts.failed else ""
        )
    if ended.termination_reason:
        outcome += f": {printable(ended.termination_reason)}"
    Printer().line(f"run {printable(ended.id)} {outcome}", STATUS_STYLES.get(ended.status, ""))


class _Seen:
    """The states of runs and spans that were shown, because events repeat unchanged rows."""

    def __init__(self) -> None:
        """Start with nothing shown."""
        self._states: dict[str, str] = {}

    def new(self, rows: Iterable[R]) -> Iterable[R]:
        """Yield the rows whose state differs from the one shown."""
        for row in rows:
            if self._states.pop(row.id, None) != row.status:
                yield row
            self._states[row.id] = row.status
            if len(self._states) > _REMEMBERED:
                del self._states[next(iter(self._states))]
