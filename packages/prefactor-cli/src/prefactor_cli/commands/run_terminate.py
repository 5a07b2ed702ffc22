"""``prefactor runs terminate``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import cyclopts

from prefactor_cli.connection import run
from prefactor_cli.failure import FAILED, OK, USAGE, Failure
from prefactor_cli.flags import Connection, Json, Yes
from prefactor_cli.output import Printer, note, print_document
from prefactor_cli.runs import ENDED, AgentNames, find_run
from prefactor_cli.text import counted, printable
from prefactor_cli.times import took
from prefactor_http import AgentInstance, PrefactorHttpClient


def terminate_run(
    run_id: Annotated[str, cyclopts.Parameter(name="RUN")],
    /,
    *,
    reason: str,
    yes: Yes = False,
    json: Json = False,
    connection: Connection = None,
) -> int:
    """Stop an active run. Its agent is told the reason with its next span, and its spans end now.

    Parameters
    ----------
    run_id
        Its id or external identifier.
    reason
        Why: shown to the agent and with the run.
    yes
        Do not ask. Needed where standard input is no terminal.
    json
        Print the run as one JSON document, as it is now.
    """

    async def work(client: PrefactorHttpClient) -> int:
        found = await find_run(client, run_id)
        if found.status in ENDED:
            message = f"The run {found.id!r} has ended already: it is {found.status}."
            raise Failure(message, FAILED)
        names = AgentNames(client)
        await names.learn({found.agent_id})
        if not yes and not _confirmed(_question(found, names.of(found.agent_id))):
            note("Nothing was done.")
            return FAILED
        ended = await client.agent_instances.terminate(found.id, reason)
        if json:
            print_document(ended.raw)
        else:
            Printer().line(
                f"terminated {printable(ended.id)}: its agent is told with the next span it sends"
            )
        return OK

    if not reason.strip():
        message = "--reason: must not be blank, because the agent is told it"
        raise Failure(message, USAGE)
    if not yes and not sys.stdin.isatty():
        message = "Nobody can be asked, because standard input is no terminal: give --yes"
        raise Failure(message, USAGE)
    return run(connection, work)


def _question(found: AgentInstance, agent: str) -> str:
    spans = found.span_counts.total if found.span_counts is not None else 0
    lasted = took(found.started_at, datetime.now(UTC))
    state = f"{found.status}{f' for {lasted}' if lasted else ''}, {counted(spans, 'span')}"
    return (
        f"Terminate run {printable(found.id)} of {printable(agent)} ({state})? "
        "It cannot be started again. [y/N] "
    )


def _confirmed(question: str) -> bool:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
