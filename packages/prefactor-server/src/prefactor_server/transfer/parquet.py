"""Exports as Parquet: a folder with one row per span, in files for each day.

Spans are collected by day until there are enough for a file. ``_export.json`` contains the run up
to which everything is written, and the names of the files that are written next contain its id. An
export that continues after that run first deletes those files, so no span is duplicated, even after
``kill -9``.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from prefactor_server.domain.errors import BadRequest
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.times import SECOND_US
from prefactor_server.queries.runs.export import ExportQueries, RunOrigin
from prefactor_server.storage.base import SpanRecord
from prefactor_server.transfer.export import Origins, Selection
from prefactor_server.transfer.lines import SPAN_FLAGS

MANIFEST: Final = "_export.json"
"""The file with the progress of an export. Programs that read Parquet ignore its name."""

_FORMAT_VERSION: Final = 1
_ROWS: Final = 20_000
_BYTES: Final = 32 * 1024 * 1024

TEXT: Final = "string"
TIME: Final = "timestamp"
NUMBER: Final = "int64"
TEXTS: Final = "list"
COLUMNS: Final[dict[str, str]] = {
    "id": TEXT,
    "parent_span_id": TEXT,
    "agent_instance_id": TEXT,
    "agent_id": TEXT,
    "agent_name": TEXT,
    "agent_version_id": TEXT,
    "agent_version": TEXT,
    "environment_id": TEXT,
    "environment_name": TEXT,
    "run_external_identifier": TEXT,
    "run_purpose": TEXT,
    "run_status": TEXT,
    "run_started_at": TIME,
    "run_finished_at": TIME,
    "schema_name": TEXT,
    "schema_title": TEXT,
    "status": TEXT,
    "started_at": TIME,
    "finished_at": TIME,
    "inserted_at": TIME,
    "updated_at": TIME,
    "summary": TEXT,
    "flags": TEXTS,
    "model": TEXT,
    "tool_name": TEXT,
    "prompt_tokens": NUMBER,
    "completion_tokens": NUMBER,
    "total_tokens": NUMBER,
    "payload": TEXT,
    "payload_problem": TEXT,
    "result_payload": TEXT,
    "result_problem": TEXT,
}
"""The columns with their types. New ones are added at the end, and none may change."""

_LARGE: Final = ("payload", "result_payload", "summary", "payload_problem", "result_problem")

Row = dict[str, Any]


class Manifest(msgspec.Struct):
    """The progress of an export: its files contain all runs up to ``after``."""

    format_version: int = _FORMAT_VERSION
    after: str | None = None
    complete: bool = False


def load_pyarrow() -> Any:
    """Return pyarrow, with the part that writes Parquet.

    Raises:
        BadRequest: it is not installed.
    """
    try:
        # By name, because it has no types.
        pa = import_module("pyarrow")
        import_module("pyarrow.parquet")
    except ImportError as error:
        raise BadRequest("--format parquet needs pyarrow: pip install pyarrow") from error
    return pa


def open_folder(folder: Path, after: str | None) -> None:
    """Create the folder of an export, or check that its export continues after ``after``.

    Raises:
        BadRequest: it contains other files, or an export that continues after another run.
        OSError: it cannot be created or read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if all(path.name.startswith(".") for path in folder.iterdir()):
        return
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (FileNotFoundError, msgspec.MsgspecError) as error:
        raise BadRequest(
            f"--output: {folder} is not empty, and not an export that can continue: choose another "
            "name"
        ) from error
    if manifest.after != after:
        next_step = (
            f"continue with --after {manifest.after}, or" if manifest.after else "empty it, or"
        )
        raise BadRequest(
            f"--output: {folder} already contains an export: {next_step} choose another name"
        )


async def export_parquet(
    queries: ExportQueries,
    selection: Selection,
    folder: Path,
    on_run: Callable[[], None],
    on_written: Callable[[str], None],
) -> None:
    """Write the spans of runs.

    ``on_run`` is called after each run, and ``on_written`` with the run up to which everything is
    written.

    Raises:
        BadRequest: pyarrow is not installed.
        OSError: a file cannot be written.
    """
    files = _Files(load_pyarrow(), folder, selection.after)
    origins = Origins(queries)
    async for run in queries.runs(selection.account_id, selection.run_filters, selection.after):
        origin = await origins.of(run)
        async for spans in queries.spans(run.account_id, run.id):
            files.add(row_of(record, origin) for record in spans)
        if files.end_run(run):
            on_written(run.id)
        on_run()
    files.finish()


def row_of(record: SpanRecord, origin: RunOrigin) -> Row:
    """Return the row of a span."""
    span, run = record.span, origin.run
    values: Row = {name: getattr(span, name) for name in COLUMNS if hasattr(span, name)}
    return values | {
        "agent_name": origin.agent,
        "agent_version_id": run.agent_version_id,
        "agent_version": origin.version,
        "environment_name": origin.environment,
        "run_external_identifier": run.external_identifier,
        "run_purpose": run.purpose,
        "run_status": run.status,
        "run_started_at": run.started_at,
        "run_finished_at": run.finished_at,
        "flags": [name for name, flag in SPAN_FLAGS.items() if span.flags & flag],
        "payload": record.payload.decode() if span.payload_size else None,
        "result_payload": None if record.result is None else record.result.decode(),
    }


class _Files:
    """Collects rows by day, and writes them when there are enough."""

    def __init__(self, pa: Any, folder: Path, after: str | None) -> None:
        self._pa = pa
        self._folder = folder
        self._types = {
            TEXT: pa.string(),
            TIME: pa.timestamp("us", tz="UTC"),
            NUMBER: pa.int64(),
            TEXTS: pa.list_(pa.string()),
        }
        self._schema = pa.schema([(name, self._types[kind]) for name, kind in COLUMNS.items()])
        self._written_to = self._read_to = after
        self._days: dict[str, list[Row]] = defaultdict(list)
        self._count = self._size = self._part = 0
        self._delete_next()
        self._write_manifest()

    def add(self, rows: Iterable[Row]) -> None:
        """Collect rows of a run."""
        for row in rows:
            at = row["inserted_at"] if row["started_at"] is None else row["started_at"]
            self._days[_day(at)].append(row)
            self._count += 1
            self._size += sum(len(row[name] or "") for name in _LARGE)
        if self._is_full():
            # A run that is too large for one file continues in the next.
            self._write()

    def end_run(self, run: AgentInstance) -> bool:
        """End a run, and return whether everything up to it is written."""
        self._read_to = run.id
        if not (self._part or self._is_full()):
            return False
        self._write()
        self._written_to, self._part = self._read_to, 0
        self._write_manifest()
        return True

    def finish(self) -> None:
        """Write the rest."""
        self._write()
        self._written_to = self._read_to
        self._write_manifest(complete=True)

    def _is_full(self) -> bool:
        return self._count >= _ROWS or self._size >= _BYTES

    def _write(self) -> None:
        for day, rows in self._days.items():
            folder = self._folder / f"day={day}"
            folder.mkdir(exist_ok=True)
            table = self._pa.Table.from_pylist(rows, schema=self._schema)
            name = folder / f"{self._prefix()}{self._part}.parquet"
            partial = name.with_name(f".{name.name}.partial")
            self._pa.parquet.write_table(table, partial, compression="zstd")
            _replace(partial, name)
        if self._days:
            self._part += 1
        self._days.clear()
        self._count = self._size = 0

    def _prefix(self) -> str:
        return f"after-{self._written_to or 'nothing'}-"

    def _delete_next(self) -> None:
        for path in self._folder.glob(f"day=*/{self._prefix()}*.parquet"):
            path.unlink()

    def _write_manifest(self, *, complete: bool = False) -> None:
        path = self._folder / MANIFEST
        partial = path.with_name(f".{MANIFEST}.partial")
        manifest = Manifest(after=self._written_to, complete=complete)
        partial.write_bytes(msgspec.json.encode(manifest) + b"\n")
        _replace(partial, path)


def _replace(partial: Path, path: Path) -> None:
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def _day(at: int) -> str:
    return datetime.fromtimestamp(at // SECOND_US, UTC).date().isoformat()
