"""``prefactor runs terminate`` with filters: shows the runs, asks, and terminates exactly those."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from prefactor_cli.commands.run_list import COLUMNS, run_row
from prefactor_cli.failure import FAILED, OK
from prefactor_cli.filters import RunFilters, api_filters
from prefactor_cli.output import Printer, confirmed, note, print_document, print_json
from prefactor_cli.progress import Progress
from prefactor_cli.runs import AgentNames, run_pages
from prefactor_cli.text import counted
from prefactor_http import AgentInstance, PrefactorHttpClient

_SHOWN: Final = 20
_AT_ONCE: Final = 100
"""The most runs that one request terminates."""


async def terminate_many(
    client: PrefactorHttpClient,
    filters: RunFilters,
    reason: str,
    *,
    dry_run: bool,
    ask: bool,
    json: bool,
) -> int:
    """Terminate the active runs that the filters match now, and return the exit code."""
    chosen: dict[str, Any] = {**await api_filters(client, filters), "status": "active"}
    found = [run async for page in run_pages(client, chosen, "id", None) for run in page]
    if dry_run and json:
        for one in found:
            print_json(one.raw)
        return OK
    if not found and not json:
        note("No active run matches.")
        return OK
    if dry_run or ask:
        await _show(client, found, all_of_them=dry_run, stderr=json)
    if dry_run:
        note(f"{counted(len(found), 'run')} would be terminated.")
        return OK
    question = f"Terminate {counted(len(found), 'run')}? They cannot be started again. [y/N] "
    if found and ask and not confirmed(question):
        note("Nothing was terminated.")
        return FAILED
    terminated: list[str] = []
    skipped: list[dict[str, str]] = []
    ids = [one.id for one in found]
    with Progress("terminated", len(ids)) as progress:
        for start in range(0, len(ids), _AT_ONCE):
            part = ids[start : start + _AT_ONCE]
            done = await client.agent_instances.terminate_many(part, reason, **chosen)
            terminated += done.terminated
            skipped += [{"id": one.id, "why": one.why} for one in done.skipped]
            progress.advance(len(part))
    if json:
        print_document({"terminated": terminated, "skipped": skipped})
        return OK
    Printer().line(
        f"terminated {counted(len(terminated), 'run')}: "
        "their agents learn of it with the next span or heartbeat they send"
    )
    if skipped:
        note(f"{counted(len(skipped), 'run')} had ended or changed, and were not terminated.")
    return OK


async def _show(
    client: PrefactorHttpClient,
    found: list[AgentInstance],
    *,
    all_of_them: bool,
    stderr: bool,
) -> None:
    shown = found if all_of_them else found[:_SHOWN]
    names = AgentNames(client)
    await names.learn({one.agent_id for one in shown})
    now = datetime.now(UTC)
    table = Printer(stderr=stderr).table(COLUMNS)
    table.page([run_row(one, names, now) for one in shown])
    if len(shown) < len(found):
        note(f"… and {counted(len(found) - len(shown), 'run')} more; --dry-run shows all of them.")
