"""``prefactor search``: finds runs by words in their spans."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import cyclopts

from prefactor_cli.commands.run_list import COLUMNS, Limit, note_total, run_row
from prefactor_cli.connection import run
from prefactor_cli.filters import Filters, api_filters
from prefactor_cli.flags import Connection, Json, Switch
from prefactor_cli.output import Printer, note, print_json
from prefactor_cli.runs import AgentNames, run_pages
from prefactor_cli.table import Cell, fitted
from prefactor_cli.text import printable
from prefactor_http import AgentInstance, PrefactorHttpClient

_INDENT: Final = "    "


def search(
    words: Annotated[tuple[str, ...], cyclopts.Parameter(name="WORDS")],
    /,
    *,
    filters: Filters = None,
    limit: Limit = 20,
    all: Switch = False,
    json: Json = False,
    connection: Connection = None,
) -> None:
    """Find runs with a span that contains all of these words, newest first, and show the span.

    Parameters
    ----------
    words
        The words to find in summaries, payloads and results.
    limit
        The most runs to list.
    all
        List all runs found, which are at most the newest 1,000.
    json
        Print each run as a JSON object on one line. Its `match` says where the words are.
    """

    async def work(client: PrefactorHttpClient) -> None:
        chosen = await api_filters(client, filters)
        chosen["text"] = " ".join(words)
        printer, names = Printer(), AgentNames(client)
        table, shown, page = printer.table(COLUMNS), 0, None
        async for page in run_pages(client, chosen, "-started_at", None if all else limit):
            shown += len(page)
            if json:
                for one in page:
                    print_json(one.raw)
                continue
            await names.learn({one.agent_id for one in page})
            now = datetime.now(UTC)
            rows = [run_row(one, names, now) for one in page]
            table.page(rows, [_match(one, printer.width) for one in page])
        if page is not None and not json:
            note_total(page, shown)
        await _note_limits(client, chosen)

    run(connection, work)


def _match(one: AgentInstance, width: int | None) -> list[Cell]:
    """Return the line below a run: the matching span, and the text around the first word."""
    if one.match is None:
        return []
    span = printable(one.match.span_id)
    text = printable(one.match.snippet)
    if width is not None:
        text = fitted(text, max(width - len(_INDENT) - len(span) - 2, 16))
    return [Cell(f"{_INDENT}{span}  ", "dim"), Cell(text)]


async def _note_limits(client: PrefactorHttpClient, chosen: dict[str, Any]) -> None:
    """Print on standard error what the search may have missed, if anything."""
    state = (await client.agent_instances.facets(**chosen)).search
    if state is None:
        return
    if not state.complete:
        note("The search index is being built: older runs are not found yet.")
    if state.limited:
        note("More runs contain these words than a search returns: add words or filters.")
