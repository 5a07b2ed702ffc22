"""``prefactor spans``."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

import cyclopts

from prefactor_cli.connection import run
from prefactor_cli.flags import Connection, Json, Switch
from prefactor_cli.output import STATUS_STYLES, Printer, print_document
from prefactor_cli.table import Cell
from prefactor_cli.text import printable, printable_lines
from prefactor_cli.times import moment, took
from prefactor_http import AgentSpan, PrefactorHttpClient

app = cyclopts.App(name="spans", help="Show a span with its payloads.")


@app.command(name="show")
def show_span(
    span_id: Annotated[str, cyclopts.Parameter(name="SPAN")],
    /,
    *,
    redacted: Switch = False,
    json: Json = False,
    connection: Connection = None,
) -> None:
    """Show a span: its type, its result, and its payloads.

    Parameters
    ----------
    span_id
        Its id.
    redacted
        Hide sensitive values, even from a caller who may see them.
    json
        Print the span as one JSON document, as the API shows it.
    """

    async def work(client: PrefactorHttpClient) -> None:
        span = await client.agent_spans.get(span_id, redacted=redacted or None)
        if json:
            print_document(span.raw)
        else:
            _print(span)

    run(connection, work)


def _print(span: AgentSpan) -> None:
    printer = Printer()
    title = printable(span.schema_title or span.schema_name)
    printer.cells(
        [
            Cell(title, "bold"),
            Cell(f"  {printable(span.schema_name)}" if title != span.schema_name else "", "dim"),
            Cell(f"  {span.status}", STATUS_STYLES.get(span.status, "")),
        ]
    )
    if span.summary:
        printer.line(printable(span.summary))
    facts = (
        ("span", span.id),
        ("run", span.agent_instance_id),
        ("parent", span.parent_span_id),
        ("started", moment(span.started_at)),
        ("took", took(span.started_at, span.finished_at)),
        ("model", span.model),
        ("tool", span.tool_name),
        ("tokens", None if span.total_tokens is None else f"{span.total_tokens:,}"),
        ("risk", span.risk_level),
    )
    for name, value in facts:
        if value:
            printer.cells([Cell(f"{name:<9}", "dim"), Cell(printable(value))])
    for name, payload in (("payload", span.payload), ("result", span.result_payload)):
        if payload is not None:
            printer.line()
            printer.line(name, "dim")
            print_payload(printer, payload)


def print_payload(printer: Printer, payload: Any) -> None:
    """Print a payload as JSON, indented."""
    text = json_module.dumps(payload, indent=2, ensure_ascii=False)
    for each in printable_lines(text):
        printer.line(each)
