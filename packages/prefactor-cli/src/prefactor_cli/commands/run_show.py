"""``prefactor runs show``: a run as a tree."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from typing import Annotated, Final

import cyclopts

from prefactor_cli.connection import run
from prefactor_cli.flags import Connection, Json, Switch
from prefactor_cli.output import STATUS_STYLES, Printer, note, print_document
from prefactor_cli.progress import Progress
from prefactor_cli.run_tree import GLYPHS, error_of, render
from prefactor_cli.runs import find_run
from prefactor_cli.table import Cell
from prefactor_cli.text import count, counted, printable
from prefactor_http import AgentInstance, AgentSpan, PrefactorHttpClient, PrefactorNotFoundError

Limit = Annotated[int, cyclopts.Parameter(validator=cyclopts.validators.Number(gte=1))]

_WIDTH_OF_A_FILE: Final = 100
_STYLES: Final = {glyph: STATUS_STYLES[status] for status, glyph in GLYPHS.items()}
_BRANCH: Final = re.compile(r"([│├└─ ]*)(.)(.*)", re.DOTALL)


def show_run(
    run_id: Annotated[str | None, cyclopts.Parameter(name="RUN")] = None,
    /,
    *,
    limit: Limit = 1000,
    all: Switch = False,
    json: Json = False,
    connection: Connection = None,
) -> None:
    """Show a run: its agent, its result, and its spans as a tree.

    Parameters
    ----------
    run_id
        Its id or external identifier. The default is the run that was registered last.
    limit
        The most spans to show, those that started first.
    all
        Show all spans.
    json
        Print the run as one JSON document, as the API shows it. `prefactor runs export` includes
        the spans.
    """

    async def work(client: PrefactorHttpClient) -> None:
        found = await find_run(client, run_id)
        if json:
            print_document(found.raw)
            return
        printer = Printer()
        most = None if all else limit
        lines = await shown_run(client, found, width=tree_width(printer), limit=most)
        for text in lines:
            printer.cells(styled(text))
        total = found.span_counts.total if found.span_counts is not None else 0
        if most is not None and total > most:
            note(f"Showing {count(most)} of {counted(total, 'span')}. --all shows all.")

    run(connection, work)


async def shown_run(
    client: PrefactorHttpClient, one: AgentInstance, *, width: int, limit: int | None = None
) -> list[str]:
    """Return a run as lines of text: its agent, its result, and every step."""
    total = one.span_counts.total if one.span_counts is not None else 0
    spans: list[AgentSpan] = []
    with Progress("Reading spans", total if limit is None else min(total, limit)) as progress:
        async for span in client.agent_spans.iterate(
            agent_instance_id=one.id, include_summaries=True, sorting="started_at"
        ):
            spans.append(_without_payloads(span))
            progress.advance()
            if limit is not None and len(spans) >= limit:
                break
    tree = render(one, spans, width=width)
    return [
        f"{await agent_name(client, one)}",
        f"run {one.id}: {tree[0]}",
        *_facts(one),
        *tree[1:],
    ]


async def agent_name(client: PrefactorHttpClient, one: AgentInstance) -> str:
    """Return the name of the agent, and its version if the server shows it."""
    agent = await client.agents.get(one.agent_id)
    try:
        version = await client.agent_versions.get(one.agent_version_id)
    except PrefactorNotFoundError:
        # Not every server has an endpoint for versions.
        return printable(f"{agent.name}, version {one.agent_version_id}")
    return printable(f"{agent.name}, version {version.external_identifier or version.id}")


def tree_width(printer: Printer) -> int:
    """Return the width of the terminal, or the width for files."""
    if printer.width is not None:
        return printer.width
    return shutil.get_terminal_size((_WIDTH_OF_A_FILE, 24)).columns


def styled(text: str) -> list[Cell]:
    """Split a line of the tree into its branch, its mark and the rest."""
    found = _BRANCH.fullmatch(text)
    if found is None or (found[2] not in _STYLES and found[2] != "!"):
        return [Cell(text)]
    if found[2] == "!":
        return [Cell(found[1], "dim"), Cell(found[2] + found[3], "red")]
    return [Cell(found[1], "dim"), Cell(found[2], _STYLES[found[2]]), Cell(found[3])]


def _without_payloads(span: AgentSpan) -> AgentSpan:
    """Return a span without payloads, except for the error, to save memory in large runs."""
    error = error_of(span)
    slim = {"payload": {} if error is None else {"error": error}, "result_payload": None}
    return span.model_copy(update=slim)


def _facts(one: AgentInstance) -> Iterator[str]:
    """Yield further facts about a run, one per line."""
    if one.external_identifier:
        yield f"external id {printable(one.external_identifier)}"
    if one.termination_reason:
        yield f"terminated: {printable(one.termination_reason)}"
    if one.metadata:
        pairs = (f"{key}={value}" for key, value in one.metadata.items())
        yield f"metadata {printable(', '.join(pairs))}"
    cost = one.cost_breakdown or {}
    if cost.get("total_cost"):
        yield f"cost {cost['total_cost']} {printable(str(cost.get('currency') or ''))}".rstrip()
    for name, summary in (one.quality_summaries or {}).items():
        yield printable(f"quality {name}: {summary}")
    if one.raised_alert_count:
        yield f"{counted(one.raised_alert_count, 'alert')} raised"
