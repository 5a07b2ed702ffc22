"""``prefactor agents``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import cyclopts

from prefactor_cli.connection import run
from prefactor_cli.filters import agent_id
from prefactor_cli.flags import Connection, Json
from prefactor_cli.output import Printer, note, print_document, print_json
from prefactor_cli.table import Cell, Column
from prefactor_cli.text import count, printable
from prefactor_cli.times import ago, moment
from prefactor_http import Agent, AgentSummary, PrefactorHttpClient

app = cyclopts.App(name="agents", help="List and show agents.")

_PAGE: Final = 100
_COLUMNS: Final = (
    Column("status"),
    Column("name", least=8),
    Column("agent"),
    Column("external id", least=8),
    Column("last run", right=True),
)
_STYLES: Final = {"active": "green", "dormant": "yellow", "retired": "dim"}


@app.command(name="list")
def list_agents(
    *, sort: Literal["name", "last-run"] = "name", json: Json = False, connection: Connection = None
) -> None:
    """List agents by name, or those with the latest runs first.

    Parameters
    ----------
    sort
        The order: by name, or by the latest run.
    json
        Print each agent as a JSON object on one line, as the API shows it.
    """

    async def work(client: PrefactorHttpClient) -> None:
        table, shown, after = Printer().table(_COLUMNS), 0, None
        sorting = "-last_run_at" if sort == "last-run" else "name"
        while True:
            page = await client.agents.list(sorting=sorting, page_size=_PAGE, after=after)
            if json:
                for agent in page:
                    print_json(agent.raw)
            else:
                table.page([_row(agent) for agent in page])
            shown += len(page)
            after = page.pagination.next_after if page.pagination is not None else None
            if after is None:
                break
        if not shown and not json:
            note("There are no agents yet.")

    run(connection, work)


@app.command(name="show")
def show_agent(
    agent: Annotated[str, cyclopts.Parameter(name="AGENT")],
    /,
    *,
    json: Json = False,
    connection: Connection = None,
) -> None:
    """Show an agent and the number of its runs.

    Parameters
    ----------
    agent
        Its id or external identifier.
    json
        Print the agent as one JSON document, as the API shows it.
    """

    async def work(client: PrefactorHttpClient) -> None:
        found = await client.agents.get(await agent_id(client, agent), include_counts=True)
        if json:
            print_document(found.raw)
        else:
            _print(found)

    run(connection, work)


def _row(agent: AgentSummary) -> list[Cell]:
    status = agent.status or ""
    return [
        Cell(status, _STYLES.get(status, "")),
        Cell(printable(agent.name or "")),
        Cell(printable(agent.id)),
        Cell(printable(agent.external_identifier or "")),
        Cell(ago(agent.last_run_at, datetime.now(UTC)), "dim"),
    ]


def _print(agent: Agent) -> None:
    printer = Printer()
    status = agent.status or ""
    printer.cells(
        [
            Cell(printable(agent.name or agent.id), "bold"),
            Cell(f"  {status}", _STYLES.get(status, "")),
        ]
    )
    if agent.description:
        printer.line(printable(agent.description))
    facts = {
        "agent": agent.id,
        "external id": agent.external_identifier,
        "created": moment(agent.inserted_at),
        "last run": moment(agent.last_run_at),
    }
    counts = agent.instance_counts
    if counts is not None:
        states = ("pending", "active", "complete", "failed", "cancelled", "terminated")
        some = [
            f"{count(getattr(counts, each))} {each}" for each in states if getattr(counts, each)
        ]
        facts["runs"] = count(counts.total) + (f" ({', '.join(some)})" if some else "")
    for name, value in facts.items():
        if value:
            printer.cells([Cell(f"{name:<13}", "dim"), Cell(printable(value))])
