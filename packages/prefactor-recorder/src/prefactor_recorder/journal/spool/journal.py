"""The journal on disk: this process's segments, and those adopted from dead processes."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefactor_recorder.journal.base import RecordSource
from prefactor_recorder.journal.memory import MemoryQueue
from prefactor_recorder.journal.spool.append import Writer
from prefactor_recorder.journal.spool.dead_letters import (
    DEAD_LETTERS,
    append_dead_letter,
    encode_dead_letter,
    trim_dead_letters,
)
from prefactor_recorder.journal.spool.orphans import Orphans, account_directories
from prefactor_recorder.journal.spool.paths import default_directory
from prefactor_recorder.journal.spool.process_files import SpoolFiles
from prefactor_recorder.journal.spool.process_lock import CAN_LOCK
from prefactor_recorder.journal.spool.segment import Segment, process_of
from prefactor_recorder.journal.spool.warnings import PendingWarnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from prefactor_recorder.journal.base import Entry

MIB = 1024 * 1024
ADOPTION_INTERVAL = 30.0
"""Seconds between two searches for dead processes."""
QUOTA_INTERVAL = 5.0
"""Seconds between two measurements of the directory."""
MAX_RESTORE_INTERVAL = 60.0
"""Maximum seconds between attempts to resume recording to a disk that failed."""
LOSS_WARNING_INTERVAL = 60.0
"""Seconds between two warnings about dropped records."""
DEAD_LETTERS_DIVISOR = 8
"""1/8 of the directory's quota is for dead letters."""
LOCK_TIMEOUT = 0.05
"""Seconds that `close` waits for the delivery thread to release the files."""


class SpoolJournal:
    """Keeps records on disk until they are delivered, and in memory while the disk fails.

    No file is touched before the first `append` or `adopt`.
    """

    def __init__(
        self,
        spool_dir: Path | None,
        *,
        api_url: str,
        api_token: str,
        limit: int = 512 * MIB,
        memory_limit: int = 64 * MIB,
        segment_size: int = 8 * MIB,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create a journal without touching the disk.

        Args:
            spool_dir: The root of the spool; None for `default_directory()`.
            api_url: The API that records are delivered to.
            api_token: The token to deliver with; a digest of it names the directory.
            limit: Maximum bytes of the account's directory.
            memory_limit: Maximum bytes of records to hold in memory while the disk fails.
            segment_size: Bytes after which a new segment is started.
            clock: A monotonic clock, in seconds.
        """
        self._location = (spool_dir or default_directory(), api_url, api_token)
        self._clock = clock
        # Only the user deletes dead letters. Without a separate limit they would take the room
        # of records that can still be delivered.
        self._dead_letters_limit = limit // DEAD_LETTERS_DIVISOR
        self._files = SpoolFiles(*self._location)
        self._warnings = PendingWarnings()
        self._writer = Writer(
            self._files,
            self._warnings.add,
            limit=limit,
            memory_limit=memory_limit,
            # Room is freed one whole file at a time, so there must be several.
            segment_size=max(min(segment_size, limit // 8), 1),
        )
        # Not wrapped in a method, to save a call per record.
        self.append = self._writer.append
        self._start()

    def _start(self) -> None:
        # Held while files are read, acked or adopted; never by a recording thread.
        self._files_lock = threading.RLock()
        self._is_closed = False
        now = self._clock()
        self._orphans = Orphans(self._warnings.add)
        self._adopted: tuple[Segment, ...] = ()
        self._next_adoption = now + ADOPTION_INTERVAL
        self._next_quota_check = now
        self._next_attempt = now
        self._next_report = now
        self._pause = 1.0
        self._reported = 0
        self._unwritten = 0
        self._last_unwritten = ""

    @property
    def unread(self) -> int:
        """Bytes appended or adopted, and not read."""
        return sum(source.unread for source in (*self._writer.sources, *self._adopted))

    @property
    def undelivered(self) -> int:
        """Records appended or adopted, and neither acked nor dead-lettered."""
        return _unacked(self._writer.sources) + _unacked(self._adopted)

    @property
    def in_memory(self) -> int:
        """Undelivered records that would be lost with this process, because the disk failed."""
        sources = self._writer.sources
        return _unacked(source for source in sources if isinstance(source, MemoryQueue))

    @property
    def inherited(self) -> int:
        """Undelivered records adopted from dead processes."""
        return _unacked(self._adopted)

    @property
    def dropped(self) -> int:
        """Records rejected for lack of room, or because the journal was closed."""
        return self._writer.dropped + self._writer.dropped_after_close

    @property
    def is_degraded(self) -> bool:
        """Whether records wait in memory because the disk failed."""
        return self._writer.is_degraded

    def read(self, limit: int) -> list[Entry]:
        """Return the next entries, about `limit` bytes of them.

        A quarter is reserved for adopted records, so that a busy process does not starve them.
        """
        with self._files_lock:
            return [] if self._is_closed else self._read_all(limit)

    def _read_all(self, limit: int) -> list[Entry]:
        own = self._read(self._writer.sources, limit - limit // 4 if self._adopted else limit)
        if not self._adopted:
            return own
        return own + self._read(self._adopted, limit - sum([entry.size for entry in own]))

    def _read(self, sources: Sequence[RecordSource], limit: int) -> list[Entry]:
        entries: list[Entry] = []
        for source in sources:
            if limit <= 0:
                break
            if not source.unread:
                continue
            try:
                found = source.read(limit)
            except OSError as error:
                self._warnings.add(f"cannot read recorded data back; it is left on disk: {error}")
                self._abandon(source)
                continue
            entries += found
            limit -= sum([entry.size for entry in found])
            if source.is_done:
                self._remove(source)
        return entries

    def ack(self, entries: Iterable[Entry]) -> None:
        """Remove entries that the server accepted."""
        by_source: dict[RecordSource, list[Entry]] = {}
        for entry in entries:
            by_source.setdefault(entry.source, []).append(entry)
        with self._files_lock:
            if not self._is_closed:
                for source, acked in by_source.items():
                    self._ack(source, acked)

    def _ack(self, source: RecordSource, entries: list[Entry]) -> None:
        source.ack(entries)
        if not source.is_done:
            self._writer.renew(source)
        if source.is_done:
            self._remove(source)

    def dead_letter(self, entry: Entry, refusal: dict[str, Any]) -> None:
        """Move an entry that the server will never accept to the dead letters, with the error."""
        with self._files_lock:
            self._write_dead_letter(entry, refusal)
            self.ack([entry])

    def _write_dead_letter(self, entry: Entry, refusal: dict[str, Any]) -> None:
        letter = encode_dead_letter(entry.record, refusal, datetime.now(UTC))
        try:
            append_dead_letter(
                self._dead_letter_file(entry.source), letter, self._dead_letters_limit
            )
        except OSError as error:
            self._unwritten += 1
            self._last_unwritten = f"{entry.record.key}, {refusal.get('message')}: {error}"

    def _dead_letter_file(self, source: RecordSource) -> Path:
        """Return the file next to the segment, so that a dead process's files stay together."""
        if isinstance(source, Segment):
            return source.path.with_name(f"{process_of(source.path)}{DEAD_LETTERS}")
        if self._files.process_lock is None:
            raise OSError("there is no spool")
        return (
            self._files.process_lock.directory / f"{self._files.process_lock.process}{DEAD_LETTERS}"
        )

    def adopt(self) -> int:
        """Adopt records of dead processes, recorded under any token of the account."""
        self._next_adoption = self._clock() + ADOPTION_INTERVAL
        with self._files_lock:
            return 0 if self._is_closed else self._adopt()

    def _adopt(self) -> int:
        if self._files.directory is None or not CAN_LOCK:
            return 0
        places = account_directories(self._files.directory, self._files.account_id)
        found = self._orphans.adopt(places, self._files.process_lock)
        self._adopted = (*self._adopted, *found)
        return sum(segment.expected for segment in found)

    def learn_account(self, account_id: str) -> None:
        """Store the account that the data belongs to, as the server reported it."""
        self._files.learn_account(account_id)

    def maintain(self) -> int:
        """Do periodic work; call about once a second. Return the number of records adopted."""
        with self._files_lock:
            adopted = 0 if self._is_closed else self._maintain()
        self._warnings.log()
        return adopted

    def _maintain(self) -> int:
        now = self._clock()
        adopted = self.adopt() if now >= self._next_adoption else 0
        if self._writer.is_degraded:
            self._try_restore(now)
        with contextlib.suppress(OSError):
            self._writer.sync()
        if now >= self._next_quota_check:
            self._next_quota_check = now + QUOTA_INTERVAL
            self._trim_dead_letters()
            self._writer.measure()
        if now >= self._next_report and (self._writer.dropped > self._reported or self._unwritten):
            self._next_report = now + LOSS_WARNING_INTERVAL
            self._report_losses()
        return adopted

    def _try_restore(self, now: float) -> None:
        if now < self._next_attempt:
            return
        if self._writer.restore():
            self._pause = 1.0
            self._warnings.add("recording to disk again")
        else:
            self._next_attempt = now + self._pause
            self._pause = min(self._pause * 2, MAX_RESTORE_INTERVAL)

    def _trim_dead_letters(self) -> None:
        directory = self._files.directory
        if directory and (deleted := trim_dead_letters(directory, self._dead_letters_limit)):
            self._warnings.add(f"deleted {deleted} old files of dead letters to make room")

    def _report_losses(self) -> None:
        if dropped := self._writer.dropped - self._reported:
            self._warnings.add(
                f"{dropped} records were dropped for lack of room: the server accepts less than is "
                "recorded, or PREFACTOR_SPOOL_LIMIT is too small"
            )
        if self._unwritten:
            self._warnings.add(
                f"{self._unwritten} records could not be written as dead letters, the last: "
                f"{self._last_unwritten}"
            )
        self._reported += dropped
        self._unwritten = 0

    def close(self) -> None:
        """Release files and locks. Undelivered records stay for the next process.

        If the delivery thread is still using the files, they stay open and locked until the process
        ends, so that no other process adopts what the thread is delivering.
        """
        self._writer.stop()
        if self._files_lock.acquire(timeout=LOCK_TIMEOUT):
            try:
                self._close()
            finally:
                self._files_lock.release()
        self._report_losses()
        self._warnings.log()

    def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._writer.close()
            self._orphans.release()

    def after_fork(self) -> None:
        """In a forked child, start empty, because the parent delivers the earlier records."""
        # Close, never unlock: parent and child share the locks' file descriptions.
        self._writer.close_files()
        self._orphans.release()
        self._files = SpoolFiles(*self._location)
        self._warnings = PendingWarnings()
        self._writer.reset(self._files, self._warnings.add)
        self._start()

    def _remove(self, source: RecordSource) -> None:
        damaged = source.damaged
        if damaged:
            self._warnings.add(f"skipped {damaged} damaged bytes of the spool")
        if isinstance(source, Segment) and source in self._adopted:
            self._adopted = tuple(other for other in self._adopted if other is not source)
            self._orphans.remove(source)
            self._writer.measure()
            if not self._adopted:
                # There may be more dead processes than are adopted at once.
                self.adopt()
        else:
            self._writer.remove(source)

    def _abandon(self, source: RecordSource) -> None:
        if isinstance(source, Segment) and source in self._adopted:
            self._adopted = tuple(other for other in self._adopted if other is not source)
            self._orphans.abandon(source)
        else:
            self._writer.abandon(source)


def _unacked(sources: Iterable[RecordSource]) -> int:
    # An exception raised by a signal handler can leave a record uncounted until it is read.
    return sum(max(source.expected - source.acked, 0) for source in sources)
