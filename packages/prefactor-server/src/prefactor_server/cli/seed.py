"""``prefactor-server seed``: example data for a running server."""

from __future__ import annotations

import json as json_module
import os
import sys
from types import TracebackType
from typing import Annotated, Final, Self

import cyclopts
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from prefactor_server.cli.flags import WholeNumber
from prefactor_server.cli.output import err, out, say
from prefactor_server.seed.api_client import ApiAddress
from prefactor_server.seed.filling import Plan, Summary, fill
from prefactor_server.settings import check_range
from prefactor_server.storage.clock import now_us

_URL: Final = "http://127.0.0.1:8585"
_MAX_SEED: Final = 1_000_000
_MAX_RUNS: Final = 500_000
_MIN_SPANS: Final = 10
_MAX_SPANS: Final = 1_000_000

Json = Annotated[
    bool,
    cyclopts.Parameter(name="--json", negative=(), help="Print the summary as a JSON object."),
]


def seed(
    *,
    seed: WholeNumber = 1,
    runs: WholeNumber = 3000,
    large_run: Annotated[bool, cyclopts.Parameter(negative=())] = False,
    large_run_spans: WholeNumber = 100_000,
    url: str | None = None,
    json: Json = False,
) -> None:
    """Fill a running server with example data: three agents and two weeks of their runs.

    Parameters
    ----------
    seed
        The seed of the data, 0 to 1000000.
    runs
        The number of runs, 1 to 500000.
    large_run
        Also create one run with very many spans.
    large_run_spans
        The number of spans of that run, 10 to 1000000.
    url
        The URL of the server. The default is PREFACTOR_API_URL, or http://127.0.0.1:8585.
    """
    check_range("--seed", seed, 0, _MAX_SEED)
    check_range("--runs", runs, 1, _MAX_RUNS)
    check_range("--large-run-spans", large_run_spans, _MIN_SPANS, _MAX_SPANS)
    address = ApiAddress(
        url or os.environ.get("PREFACTOR_API_URL") or _URL,
        os.environ.get("PREFACTOR_API_TOKEN", ""),
    )
    with _Bars() as bars:
        plan = Plan(seed, runs, large_run_spans if large_run else 0)
        summary = fill(address, plan, now=now_us(), report=bars.show, tell=_Notices().say)
    if json:
        sys.stdout.write(json_module.dumps(summary._asdict()) + "\n")
        return
    _print(summary)


def _print(summary: Summary) -> None:
    out.print(
        f"{summary.runs} runs with {summary.spans} spans of {', '.join(summary.agents)}, from "
        f"{summary.started_from} to {summary.started_before}; {summary.runs_written} of them are "
        "new",
        markup=False,
    )
    if summary.large_run is not None:
        new = "is new" if summary.large_run_written else "existed already"
        out.print(f"the large run {summary.large_run} {new}", markup=False)


class _Notices:
    """Prints each notice on standard error, once for all connections that have it."""

    def __init__(self) -> None:
        self._last = ""

    def say(self, notice: str) -> None:
        """Print a notice unless it was the last one."""
        if notice != self._last:
            self._last = notice
            say(notice)


class _Bars:
    """Progress bars on standard error, if that is a terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=err,
            disable=not err.is_terminal,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, what: str, done: int, total: int) -> None:
        """Show the progress of one kind of work."""
        task = self._tasks.get(what)
        if task is None:
            task = self._tasks[what] = self._progress.add_task(what, total=total)
        self._progress.update(task, completed=done)
