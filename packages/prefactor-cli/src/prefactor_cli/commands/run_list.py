"""``prefactor runs list``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import cyclopts

from prefactor_cli.connection import run
from prefactor_cli.filters import Filters, api_filters
from prefactor_cli.flags import Connection, Json, Switch
from prefactor_cli.output import RISK_STYLES, STATUS_STYLES, Printer, note, print_json
from prefactor_cli.runs import AgentNames, run_pages
from prefactor_cli.table import Cell, Column
from prefactor_cli.text import count, counted, printable
from prefactor_cli.times import ago, took
from prefactor_http import AgentInstance, Page, PrefactorHttpClient

Limit = Annotated[int, cyclopts.Parameter(validator=cyclopts.validators.Number(gte=1))]
Sort = Literal[
    "-started_at",
    "started_at",
    "-finished_at",
    "finished_at",
    "-inserted_at",
    "inserted_at",
    "-updated_at",
    "updated_at",
]

COLUMNS: Final = (
    Column("status"),
    Column("agent", least=8),
    Column("run"),
    Column("duration", right=True),
    Column("spans", right=True),
    Column("failed", right=True),
    Column("risk"),
    Column("started", right=True),
    Column("external id", least=11),
)


def list_runs(
    *,
    filters: Filters = None,
    text: str | None = None,
    sort: Annotated[Sort, cyclopts.Parameter(allow_leading_hyphen=True)] = "-started_at",
    limit: Limit = 20,
    all: Switch = False,
    json: Json = False,
    connection: Connection = None,
) -> None:
    """List runs, most recently started first.

    Parameters
    ----------
    text
        Only runs with a span that contains all of these words. `prefactor search` shows the spans.
    sort
        The order. A leading `-` makes it descending.
    limit
        The most runs to list.
    all
        List all runs that pass the filters, page by page.
    json
        Print each run as a JSON object on one line, as the API shows it.
    """

    async def work(client: PrefactorHttpClient) -> None:
        chosen = await api_filters(client, filters)
        if text is not None:
            chosen["text"] = text
        printer, names = Printer(), AgentNames(client)
        table, shown, page = printer.table(COLUMNS), 0, None
        async for page in run_pages(client, chosen, sort, None if all else limit):
            shown += len(page)
            if json:
                for one in page:
                    print_json(one.raw)
                continue
            await names.learn({one.agent_id for one in page})
            now = datetime.now(UTC)
            table.page([run_row(one, names, now) for one in page])
        if page is not None and not json:
            note_total(page, shown)

    run(connection, work)


def run_row(one: AgentInstance, names: AgentNames, now: datetime) -> list[Cell]:
    """Return the cells of a run, in the order of `COLUMNS`."""
    counts = one.span_counts
    risk = str(one.raw.get("risk_level") or "")
    ended = one.finished_at or (now if one.status == "active" else None)
    own_id = one.external_identifier or ""
    if one.purpose not in {None, "live"}:
        own_id = f"[{str(one.purpose).replace('_', ' ')}] {own_id}".rstrip()
    return [
        Cell(one.status, STATUS_STYLES.get(one.status, "")),
        Cell(printable(names.of(one.agent_id))),
        Cell(printable(one.id)),
        Cell(took(one.started_at, ended) or "–"),
        Cell(count(counts.total) if counts is not None else ""),
        Cell(count(counts.failed), "red") if counts is not None and counts.failed else Cell(""),
        Cell(risk, RISK_STYLES.get(risk, "")),
        Cell(ago(one.started_at or one.inserted_at, now), "dim"),
        Cell(printable(own_id)),
    ]


def note_total(page: Page[AgentInstance], shown: int) -> None:
    """Print the total number of runs on standard error, unless all of them are shown."""
    pagination = page.pagination
    if pagination is None:
        return
    if shown == 0:
        note("No run matches.")
    elif pagination.next_after is not None:
        total = ("" if pagination.item_count_is_exact else "more than ") + counted(
            pagination.item_count, "run"
        )
        note(f"Showing {count(shown)} of {total}. --limit N shows more, --all shows all.")
