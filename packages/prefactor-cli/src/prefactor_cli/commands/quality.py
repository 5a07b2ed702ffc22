"""``prefactor quality``: compares evaluations of versions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import cyclopts

from prefactor_cli.commands.run_list import Limit
from prefactor_cli.connection import run
from prefactor_cli.failure import FAILED, OK, Failure
from prefactor_cli.filters import version_id
from prefactor_cli.flags import FINITE, Connection, Json
from prefactor_cli.output import Printer, print_document
from prefactor_cli.progress import Progress
from prefactor_cli.runs import run_pages
from prefactor_cli.scores import VersionScores, score_of, verdict
from prefactor_cli.table import Cell, Column
from prefactor_cli.text import count, printable
from prefactor_http import AgentInstance, PrefactorHttpClient

app = cyclopts.App(name="quality", help="Compare evaluations of versions.")

_AT_ONCE: Final = 8
_COLUMNS: Final = (
    Column("version"),
    Column("scored", right=True),
    Column("unscored", right=True),
    Column("mean", right=True),
    Column("±", right=True),
    Column("min", right=True),
    Column("max", right=True),
)


@app.command(name="compare")
def compare(
    *,
    agent: str,
    version: Annotated[tuple[str, str], cyclopts.Parameter(name="--version", negative_iterable=())],
    name: str,
    field: str = "score",
    purpose: Literal["live", "smoke_test", "eval"] | None = None,
    limit: Limit = 200,
    fail_below: Annotated[float | None, FINITE] = None,
    fail_drop: Annotated[float | None, FINITE] = None,
    json: Json = False,
    connection: Connection = None,
) -> int:
    """Compare the scores of the newest runs of two versions, and fail if they got worse.

    Without --fail-below and --fail-drop, it fails only if a version has no scores.

    Parameters
    ----------
    agent
        The agent: its id or external identifier.
    version
        The earlier and the later version, by id or external identifier: --version V1 V2.
    name
        The name of the evaluation, as recorded in the quality of runs.
    field
        The member of the payload that contains the score: a number, or true or false.
    purpose
        Only runs for this purpose, such as eval.
    limit
        The most runs of each version, newest first.
    fail_below
        Exit with 1 if the mean of the later version is below this.
    fail_drop
        Exit with 1 if the mean of the later version is lower by more than this.
    json
        Print the figures of both versions as one JSON document.
    """

    async def work(client: PrefactorHttpClient) -> int:
        filters = {} if purpose is None else {"purpose": purpose}
        found: list[VersionScores] = []
        for each in version:
            of_version = {**filters, "agent_version_id": await version_id(client, agent, each)}
            runs = await _newest(client, of_version, limit)
            found.append(await _scores(client, each, runs, name, field))
        before, after = found
        failed = verdict(before, after, fail_below, fail_drop)
        if json:
            print_document(
                {
                    "name": name,
                    "field": field,
                    "versions": [one.as_json() for one in found],
                    "passed": failed is None,
                }
            )
        else:
            _print(before, after)
        if failed is not None:
            message = f"quality {name!r}: {failed}"
            raise Failure(message, FAILED)
        return OK

    return run(connection, work)


async def _newest(
    client: PrefactorHttpClient, filters: dict[str, Any], limit: int
) -> list[AgentInstance]:
    pages = run_pages(client, filters, "-started_at", limit)
    return [one async for page in pages for one in page]


async def _scores(
    client: PrefactorHttpClient, version: str, runs: Sequence[AgentInstance], name: str, field: str
) -> VersionScores:
    """Read the evaluations of runs, several at a time, because lists do not include them."""
    scores: list[float | None] = []
    with Progress(f"Reading runs of {printable(version)}", len(runs)) as progress:
        for start in range(0, len(runs), _AT_ONCE):
            part = runs[start : start + _AT_ONCE]
            for one in await asyncio.gather(
                *(client.agent_instances.get(each.id) for each in part)
            ):
                scores.append(score_of((one.quality_payloads or {}).get(name), field))
                progress.advance()
    known = [score for score in scores if score is not None]
    return VersionScores(version, known, len(scores) - len(known))


def _print(before: VersionScores, after: VersionScores) -> None:
    printer = Printer()
    printer.table(_COLUMNS).page([_row(before), _row(after)])
    if before.scores and after.scores:
        change = after.mean - before.mean
        style = "red" if change < 0 else "green"
        printer.cells([Cell("mean "), Cell(f"{change:+.4g}", style)])


def _row(one: VersionScores) -> list[Cell]:
    figures = [one.mean, one.error, min(one.scores), max(one.scores)] if one.scores else [None] * 4
    return [
        Cell(printable(one.version)),
        Cell(count(len(one.scores))),
        Cell(count(one.unscored)),
        *(Cell("" if figure is None else f"{figure:.4g}") for figure in figures),
    ]
