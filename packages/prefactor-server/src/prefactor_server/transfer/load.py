"""The import of an export, line by line, in batches of bounded size."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import msgspec

from prefactor_server.domain.account import Account
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.errors import Contended, OutcomeUnknown
from prefactor_server.domain.listing import Listing
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.storage.base import Decide, Needs, Snapshot, SpanRecord, Storage
from prefactor_server.transfer.file_format import unreadable_format
from prefactor_server.transfer.import_rows import (
    CurrentRun,
    ImportedRow,
    ImportResult,
    Problem,
    import_rows,
    needs_of,
)
from prefactor_server.transfer.lines import BY_ROW, END
from prefactor_server.transfer.otlp_lines import is_otlp, lines_of
from prefactor_server.transfer.parse import (
    End,
    LineError,
    ParsedRow,
    parse_end,
    parse_head,
    parse_row,
    type_of,
)

MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""The longest line that is read."""

_BATCH_ROWS: Final = 500
_BATCH_BYTES: Final = 4 * 1024 * 1024
_RETRIES: Final = 4
_PAUSE_SECONDS: Final = 0.2
MAX_PROBLEMS: Final = 100
"""The most problems that are listed. All of them are counted."""


@dataclass(slots=True)
class Import:
    """The progress of an import. ``stored_to`` is the last committed line."""

    added: Counter[str] = field(default_factory=Counter[str])
    identical: int = 0
    left_out: int = 0
    problem_count: int = 0
    problems: list[Problem] = field(default_factory=list[Problem])
    stored_to: int = 0
    masked: bool = False
    bytes_read: int = 0

    def add(self, result: ImportResult, line: int) -> None:
        """Add the result of a batch that ended with a line."""
        self.added += result.added
        self.identical += result.identical
        self.left_out += result.left_out
        self.problem_count += len(result.problems)
        self.problems += result.problems[: MAX_PROBLEMS - len(self.problems)]
        self.stored_to = line


class ImportFailed(LineError):
    """The import stopped at a line. Earlier lines stay stored."""


async def import_file(
    storage: Storage,
    account: Account,
    file: BinaryIO,
    done: Import,
    report: Callable[[], None],
    *,
    now: int,
) -> None:
    """Import the lines of a file into an account, and update ``done`` with the progress.

    ``now`` is stored as the time of the import.

    Raises:
        ImportFailed: a line cannot be read, or the file ends early.
        Refusal: the database does not accept more.
        OSError: the file cannot be read.
    """
    importer = _Importer(storage, account, done, now)
    await importer.begin()
    size, rows = 0, list[tuple[int, ParsedRow]]()
    lines = _Lines(file, done)
    try:
        for line in lines.read():
            parsed = lines.parse(account, line)
            if parsed is not None:
                rows.append((lines.number, parsed))
                size += len(line)
            if len(rows) >= _BATCH_ROWS or size >= _BATCH_BYTES:
                await importer.store(rows)
                report()
                rows, size = [], 0
    except LineError as error:
        await importer.store(rows)
        raise ImportFailed(f"line {lines.number}: {error.message}") from error
    await importer.store(rows)
    report()
    if lines.end is None:
        raise ImportFailed(
            f"line {lines.number + 1}: the file ends without a line of the type {END}, so it is "
            "incomplete. Its rows were imported: export again, and import the new file"
        )


class _Lines:
    """The lines of an export in a file; ``number`` is that of the last line read."""

    def __init__(self, file: BinaryIO, done: Import) -> None:
        self.number = 0
        self.end: End | None = None
        self._file = file
        self._done = done
        self._has_begun = False

    def read(self) -> Iterator[bytes]:
        """Yield the lines in the form of JSON Lines.

        Raises:
            LineError: a line is too long, or cannot be read.
        """
        otlp = False
        while line := self._file.readline(MAX_LINE_BYTES + 1):
            self.number += 1
            self._done.bytes_read += len(line)
            if self.number == 1:
                otlp = is_otlp(line)
                if (problem := unreadable_format(line)) is not None:
                    raise LineError(problem)
            if len(line) > MAX_LINE_BYTES:
                raise LineError(
                    f"has more than {MAX_LINE_BYTES} bytes, so it is not a line of an export"
                )
            if otlp:
                yield from lines_of(line)
            elif line.endswith(b"\n"):
                yield line
            else:
                raise LineError("is cut off: it does not end with a line break")

    def parse(self, account: Account, line: bytes) -> ParsedRow | None:
        """Return the row in a line, or None for the first and the last line.

        Raises:
            LineError: it is malformed or misplaced.
        """
        if not self._has_begun:
            self._done.masked = parse_head(line).sensitive_values == "masked"
            self._has_begun = True
            return None
        if self.end is not None:
            raise LineError(f"follows the line of the type {END}, which must be the last one")
        if type_of(line) == END:
            self.end = parse_end(line)
            return None
        return parse_row(account.id, line)


class _Importer:
    """Stores batches of rows in order."""

    def __init__(self, storage: Storage, account: Account, done: Import, now: int) -> None:
        self._now = now
        self._storage = storage
        self._account_id = account.id
        self._done = done
        self._run = CurrentRun()
        self._replace_default = False

    async def begin(self) -> None:
        """Find out whether the account has only its default environment."""
        agents = await self._storage.agents(self._account_id, Listing(page_size=1))
        listing = Listing(page_size=2)
        environments = await self._storage.rows(Environment, self._account_id, listing)
        self._replace_default = not agents.rows and len(environments.rows) == 1

    async def store(self, parsed: Sequence[tuple[int, ParsedRow]]) -> None:
        """Store a batch, exactly once."""
        if not parsed:
            return
        stored = await self._stored_spans(row.row for _, row in parsed)
        rows = [_imported(number, row, stored) for number, row in parsed]

        def decide(snapshots: Mapping[str, Snapshot]) -> ImportResult:
            return import_rows(
                snapshots[self._account_id],
                rows,
                self._run,
                now=self._now,
                replace_default=self._replace_default,
            )

        needs = {self._account_id: needs_of(rows, self._run)}
        result = await self._transact(needs, decide)
        self._run = result.run
        if result.added["environment"]:
            self._replace_default = False
        self._done.add(result, rows[-1].line)

    async def _transact(
        self, needs: Mapping[str, Needs], decide: Decide[ImportResult]
    ) -> ImportResult:
        for attempt in range(_RETRIES):
            try:
                return await self._storage.transact(needs, decide)
            except (Contended, OutcomeUnknown):
                # If the batch was stored, its rows are counted as identical.
                await asyncio.sleep(_PAUSE_SECONDS * 2**attempt)
        return await self._storage.transact(needs, decide)

    async def _stored_spans(self, rows: Iterable[object]) -> Mapping[str, SpanRecord]:
        ids = [row.id for row in rows if isinstance(row, AgentSpan)]
        if not ids:
            return {}
        found = await self._storage.spans_by_id(self._account_id, ids)
        return {record.span.id: record for record in found}


def _imported(number: int, parsed: ParsedRow, stored: Mapping[str, SpanRecord]) -> ImportedRow:
    row = parsed.row
    same = True
    if isinstance(row, AgentSpan) and (found := stored.get(row.id)) is not None:
        payload, result = parsed.documents
        same = _same(found.payload, payload or b"{}") and _same(found.result, result)
    kind = BY_ROW[type(row)].name
    return ImportedRow(number, kind, row, parsed.payloads, parsed.content, same)


def _same(stored: bytes | None, imported: bytes | None) -> bool:
    """Return whether two JSON documents have the same value."""
    if stored is None or imported is None or stored == imported:
        return stored == imported
    return bool(msgspec.json.decode(stored) == msgspec.json.decode(imported))
