"""``prefactor runs terminate``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import cyclopts

from prefactor_cli.commands.run_terminate_many import terminate_many
from prefactor_cli.connection import run
from prefactor_cli.failure import FAILED, OK, USAGE, Failure
from prefactor_cli.filters import Filters, RunFilters
from prefactor_cli.flags import Connection, Json, Switch, Yes
from prefactor_cli.output import Printer, confirmed, note, print_document
from prefactor_cli.runs import ENDED, AgentNames, find_run
from prefactor_cli.text import counted, printable
from prefactor_cli.times import took
from prefactor_http import AgentInstance, PrefactorHttpClient


def terminate_run(
    run_id: Annotated[str | None, cyclopts.Parameter(name="RUN")] = None,
    /,
    *,
    filters: Filters = None,
    reason: str | None = None,
    dry_run: Switch = False,
    yes: Yes = False,
    json: Json = False,
    connection: Connection = None,
) -> int:
    """Terminate an active run, or all runs that match filters. Their agents receive the reason.

    Parameters
    ----------
    run_id
        Its id or external identifier. Without it, filters select the runs.
    reason
        The reason, which agents and people see. Required, except with `--dry-run`.
    dry_run
        Show which runs would be terminated, and terminate none.
    yes
        Do not ask for confirmation. Required if standard input is not a terminal.
    json
        Print the run as one JSON document, as it is now. With filters, print what was terminated.
        With `--dry-run`, print each run on one line.
    """

    async def work(client: PrefactorHttpClient) -> int:
        if run_id is None:
            chosen = filters or RunFilters()
            return await terminate_many(
                client, chosen, reason or "", dry_run=dry_run, ask=not yes, json=json
            )
        return await _terminate_one(client, run_id, reason or "", ask=not yes, json=json)

    _check(run_id, filters, reason, dry_run=dry_run)
    if not (yes or dry_run) and not sys.stdin.isatty():
        message = "Cannot ask for confirmation: standard input is not a terminal; give --yes"
        raise Failure(message, USAGE)
    return run(connection, work)


def _check(
    run_id: str | None, filters: RunFilters | None, reason: str | None, *, dry_run: bool
) -> None:
    """Check that the arguments clearly say which runs to terminate, and why.

    Raises:
        Failure: They do not.
    """
    message: str | None = None
    chosen = filters not in {None, RunFilters()}
    if run_id is None and not chosen:
        message = "Give RUN, or filters such as --agent; --status active selects all active runs"
    elif run_id is not None and chosen:
        message = "Give RUN or filters, not both"
    elif run_id is not None and dry_run:
        message = "--dry-run: needs filters; `prefactor runs show` shows a run"
    elif filters is not None and filters.status not in {None, "active"}:
        message = f"--status: only active runs can be terminated, got {filters.status!r}"
    elif not dry_run and reason is None:
        message = "--reason: is required, because the agent receives it"
    elif not dry_run and not (reason or "").strip():
        message = "--reason: must not be blank, because the agent receives it"
    if message is not None:
        raise Failure(message, USAGE)


async def _terminate_one(
    client: PrefactorHttpClient, run_id: str, reason: str, *, ask: bool, json: bool
) -> int:
    found = await find_run(client, run_id)
    if found.status in ENDED:
        message = f"The run {found.id!r} has ended already: it is {found.status}."
        raise Failure(message, FAILED)
    names = AgentNames(client)
    await names.learn({found.agent_id})
    if ask and not confirmed(_question(found, names.of(found.agent_id))):
        note("Nothing was terminated.")
        return FAILED
    ended = await client.agent_instances.terminate(found.id, reason)
    if json:
        print_document(ended.raw)
    else:
        Printer().line(
            f"terminated {printable(ended.id)}: its agent learns of it with the next span it sends"
        )
    return OK


def _question(found: AgentInstance, agent: str) -> str:
    spans = found.span_counts.total if found.span_counts is not None else 0
    duration = took(found.started_at, datetime.now(UTC))
    state = f"{found.status}{f' for {duration}' if duration else ''}, {counted(spans, 'span')}"
    return (
        f"Terminate run {printable(found.id)} of {printable(agent)} ({state})? "
        "It cannot be started again. [y/N] "
    )
