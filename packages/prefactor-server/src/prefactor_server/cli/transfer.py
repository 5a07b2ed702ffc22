"""``prefactor-server export`` and ``import``: copy stored data to a file and back."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final, Literal

import cyclopts
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from prefactor_server.bootstrap import CLI_ACTOR
from prefactor_server.cli.flags import Database
from prefactor_server.cli.output import err, out
from prefactor_server.cli.with_database import run, settings_for, with_account
from prefactor_server.domain.account import Account
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.errors import BadRequest, NotFound, SettingError
from prefactor_server.domain.listing import Filter
from prefactor_server.domain.times import parse_time
from prefactor_server.queries.runs.export import ExportQueries
from prefactor_server.storage.base import Changes, Needs, Storage
from prefactor_server.storage.clock import now_us
from prefactor_server.transfer.export import Encoding, Selection, export_all
from prefactor_server.transfer.jsonl import JsonlEncoding
from prefactor_server.transfer.load import Import, import_file
from prefactor_server.transfer.otlp import OtlpEncoding
from prefactor_server.transfer.parquet import export_parquet, load_pyarrow, open_folder

Format = Literal["jsonl", "otlp", "parquet"]

_Write = Callable[
    [ExportQueries, Selection, Callable[[], None], Callable[[str], None]], Coroutine[Any, Any, None]
]
"""Writes a selection. It calls back for each run that was read, and with the id of the last run
that is completely written."""

_SHOWN_PROBLEMS: Final = 20

# Without it, the hyphen for standard input would be an unknown option.
_Input = Annotated[Path, cyclopts.Parameter(allow_leading_hyphen=True)]
_Output = Annotated[Path | None, cyclopts.Parameter(name=("--output", "-o"))]


def export(
    *,
    format: Format = "jsonl",
    since: str | None = None,
    until: str | None = None,
    agent: str | None = None,
    after: str | None = None,
    output: _Output = None,
    database: Database = None,
) -> None:
    """Write all recorded data: agents, versions, runs, spans with payloads, quality.

    Parameters
    ----------
    format
        jsonl: one JSON object per line. otlp: OTLP JSON, one TracesData per line, which other
        programs read too. `prefactor-server import` reads both. parquet: a folder with one row per
        span, for analysis; it needs the extra `parquet`.
    since
        Only runs registered at this time or later, such as 2026-11-01, or with a time.
    until
        Only runs registered before this time.
    agent
        Only this agent and its runs, by its id or external identifier.
    after
        Only runs after this one, by its id, to continue an interrupted export; an empty text for
        all.
    output
        The file to write, which must not exist; standard output when not given. With parquet, the
        folder.
    """
    after = after or None
    filters: list[Filter] = []
    if since is not None:
        filters.append(Filter("inserted_at", ">=", _time("--since", since)))
    if until is not None:
        filters.append(Filter("inserted_at", "<", _time("--until", until)))
    write: _Write
    if format == "parquet":
        load_pyarrow()
        write = _parquet(output, after)
    else:
        write = _text(
            JsonlEncoding() if format == "jsonl" else OtlpEncoding(one_message=False), output
        )
    work = _export(write, tuple(filters), agent, after)
    run(with_account(settings_for(database), work))


def import_(file: _Input, /, *, database: Database = None) -> None:
    """Import what `prefactor-server export` or `prefactor runs export` wrote.

    Parameters
    ----------
    file
        The file, as jsonl or otlp; - for standard input.
    """
    done = Import()
    settings = settings_for(database)
    with _opened_input(file) as (stream, size):
        try:
            run(with_account(settings, _import(file, stream, size, done)))
        finally:
            _show(done)
    if done.problem_count:
        sys.exit(1)


def _export(
    write: _Write, filters: tuple[Filter, ...], agent: str | None, after: str | None
) -> Callable[[Storage, Account], Coroutine[Any, Any, None]]:
    async def work(storage: Storage, account: Account) -> None:
        agent_id = None
        if agent is not None:
            found = await storage.agent(account.id, agent)
            if found is None:
                raise NotFound(f"There is no agent {agent!r}: prefactor agents list shows them")
            agent_id = found.agent.id
        selection = Selection(account.id, agent_id, filters, after)
        queries = ExportQueries(storage)
        total = await queries.run_count(account.id, selection.run_filters)
        last: list[str] = []

        def on_written(run_id: str) -> None:
            last[:] = [run_id]

        with _bar("Exporting runs", total) as advance:
            try:
                await write(queries, selection, lambda: advance(1), on_written)
            except BaseException:
                if last:
                    err.print(f"Stopped. Continue with: --after {last[0]}", markup=False)
                raise

    return work


def _text(encoding: Encoding, output: Path | None) -> _Write:
    async def write(
        queries: ExportQueries,
        selection: Selection,
        on_run: Callable[[], None],
        on_written: Callable[[str], None],
    ) -> None:
        def done(run_id: str) -> None:
            on_written(run_id)
            on_run()

        with _opened_output(output) as write_chunk:
            async for chunk in export_all(queries, encoding, selection, done):
                write_chunk(chunk)

    return write


def _parquet(output: Path | None, after: str | None) -> _Write:
    if output is None:
        raise BadRequest("--output: --format parquet writes a folder: name it")

    async def write(
        queries: ExportQueries,
        selection: Selection,
        on_run: Callable[[], None],
        on_written: Callable[[str], None],
    ) -> None:
        try:
            open_folder(output, after)
            await export_parquet(queries, selection, output, on_run, on_written)
        except OSError as error:
            raise BadRequest(f"--output: cannot write {output}: {error.strerror}") from error

    return write


def _import(
    file: Path, stream: BinaryIO, size: int | None, done: Import
) -> Callable[[Storage, Account], Coroutine[Any, Any, None]]:
    async def work(storage: Storage, account: Account) -> None:
        seen = 0
        with _bar("Importing bytes", size) as advance:

            def report() -> None:
                nonlocal seen
                advance(done.bytes_read - seen)
                seen = done.bytes_read

            try:
                await import_file(storage, account, stream, done, report, now=now_us())
            finally:
                if done.stored_to:
                    await _audit(storage, account, file, done)

    return work


async def _audit(storage: Storage, account: Account, file: Path, done: Import) -> None:
    added = ", ".join(f"{number} {kind}" for kind, number in sorted(done.added.items()) if number)
    detail = f"{file.name}: {added or 'nothing new'}"
    entry = AuditEntry(account.id, now_us(), CLI_ACTOR, "data.import", account.id, detail)
    await storage.transact(
        {account.id: Needs()},
        lambda snapshots: snapshots[account.id].apply(Changes(audit=[entry])),
    )


def _show(done: Import) -> None:
    for problem in done.problems[:_SHOWN_PROBLEMS]:
        err.print(f"line {problem.line}: {problem.message}", markup=False)
    if done.problem_count > _SHOWN_PROBLEMS:
        err.print(f"… and {done.problem_count - _SHOWN_PROBLEMS} more", markup=False)
    for kind, number in done.added.items():
        if number:
            out.print(f"imported {number} {kind}", markup=False)
    if done.stored_to:
        out.print(f"{done.identical} lines were stored already", markup=False)
    else:
        out.print("nothing was imported", markup=False)
    if done.problem_count:
        out.print(
            f"{done.problem_count} lines differ from stored rows or are invalid, and "
            f"{done.left_out} lines of their runs were skipped",
            markup=False,
        )
    if done.masked:
        out.print("sensitive values were masked in this export: they are null now", markup=False)


def _time(flag: str, text: str) -> int:
    try:
        return parse_time(text)
    except ValueError as error:
        raise SettingError(f"{flag}: {error}, such as 2026-11-01, got {text!r}") from error


@contextmanager
def _opened_output(target: Path | None) -> Generator[Callable[[bytes], object]]:
    """Open the output. An interrupted export keeps what was written to a file."""
    if target is None:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    try:
        with target.open("xb") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise BadRequest(f"--output: {target} already exists: choose another name") from error
    except OSError as error:
        raise BadRequest(f"--output: cannot write {target}: {error.strerror}") from error


@contextmanager
def _opened_input(source: Path) -> Generator[tuple[BinaryIO, int | None]]:
    if str(source) == "-":
        yield sys.stdin.buffer, None
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise BadRequest(f"cannot read {source}: {error.strerror}") from error
    with file:
        yield file, source.stat().st_size or None


@contextmanager
def _bar(what: str, total: int | None) -> Generator[Callable[[int], None]]:
    """Show a progress bar on standard error, if that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    shown = err.is_terminal
    with Progress(*columns, console=err, disable=not shown, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda number: progress.advance(task, number)
