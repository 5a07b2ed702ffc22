"""Appending to segments: one `write()` per record, by the recording thread."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from prefactor_recorder.journal.memory import MemoryQueue
from prefactor_recorder.journal.spool.quota import RESERVE_DIVISOR, fits, other_processes_bytes
from prefactor_recorder.journal.spool.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from prefactor_recorder.journal.base import RecordSource
    from prefactor_recorder.journal.spool.process_files import SpoolFiles

LOCK_TIMEOUT = 0.25
"""Seconds that the delivery thread waits for a recording call, which takes microseconds."""


class Writer:
    """Appends records to the current one of this process's sources, which are kept in order.

    The lock is re-entrant, because a signal handler or a finaliser may record while the thread it
    interrupts is recording. It finds all counters correct, except for the interrupted call.
    """

    def __init__(
        self,
        files: SpoolFiles,
        warn: Callable[[str], None],
        *,
        limit: int,
        memory_limit: int,
        segment_size: int,
    ) -> None:
        """Create a writer without sources.

        Args:
            files: Creates the segments.
            warn: Called with each warning for the user.
            limit: Maximum bytes of the account's directory.
            memory_limit: Maximum bytes of records to hold in memory while the disk fails.
            segment_size: Bytes after which a new segment is started.
        """
        self._limit = limit
        self._memory_limit = memory_limit
        self._segment_size = segment_size
        self.reset(files, warn)

    def reset(self, files: SpoolFiles, warn: Callable[[str], None]) -> None:
        """Start over without closing anything, as a forked child must."""
        self._files = files
        self._warn = warn
        self._lock = threading.RLock()
        self.sources: tuple[RecordSource, ...] = ()
        self.dropped = self.dropped_after_close = 0
        # The source being filled, which is also `_segment` if it is a file.
        self._current: RecordSource | None = None
        self._segment: Segment | None = None
        self._descriptor = -1
        # Bytes that may be written to the segment before checking the limits again.
        self._room = 0
        self._others_bytes = 0
        self._is_closed = False
        self._deferred: list[bytes] | None = None

    def append(self, record: bytes) -> bool:
        """Append an encoded record. Return whether there was room for it."""
        lock = self._lock
        # Not `with`, which takes twice as long. An exception of a signal handler may be raised
        # right after any call, so the lock is acquired inside of `try`.
        try:
            lock.acquire()
            size = len(record)
            segment = self._segment
            if segment is None or size > self._room:
                return self._append_checked(record)
            before = segment.committed
            try:
                written = os.write(self._descriptor, record)
            except OSError as error:
                return self._append_elsewhere(record, before, error)
            if written != size:
                return self._append_elsewhere(record, before, OSError("the disk is full"))
            segment.committed += size
            segment.expected += 1
            self._room -= size
            return True
        finally:
            try:  # noqa: SIM105 - `suppress` takes longer than the release
                lock.release()
            except RuntimeError:
                pass  # it was interrupted while it waited for the lock

    def _append_checked(self, record: bytes) -> bool:
        if self._deferred is not None:
            # A signal handler has interrupted this thread while it was opening a file. Keep the
            # handler's record until the file is open.
            self._deferred.append(record)
            return True
        self._deferred = []
        try:
            kept = self._append_now(record)
        finally:
            deferred, self._deferred = self._deferred, None
        for other in deferred:
            self.append(other)
        return kept

    def _append_now(self, record: bytes) -> bool:
        if self._is_closed:
            # Counted apart from `dropped`, which is warned about as a lack of room.
            self.dropped_after_close += 1
            return False
        try:
            self._ensure_segment(len(record))
        except OSError as error:
            self._degrade(error)
        if self._append_to_current(record):
            return True
        self.dropped += 1
        return False

    def _ensure_segment(self, size: int) -> None:
        segment = self._segment
        if self._current is None:
            self._begin(self._files.create_segment())
            self._others_bytes = self._measure_others()
        elif segment and segment.committed and segment.committed + size > self._segment_size:
            self._begin(self._files.create_segment())

    def _append_to_current(self, record: bytes) -> bool:
        if isinstance(self._current, MemoryQueue):
            return self._current.append(record)
        if not fits(record, self._used(), self._limit):
            return False
        self._room = len(record)
        kept = self.append(record)
        self._update_room()
        return kept

    def _append_elsewhere(self, record: bytes, before: int, error: OSError) -> bool:
        """Truncate a partial write and continue in memory."""
        segment = self._segment
        with contextlib.suppress(OSError):
            if segment and segment.committed == before:
                os.ftruncate(self._descriptor, before)
            elif segment:
                # A signal handler has appended after the partial record. Keep its record; readers
                # skip the damage.
                segment.committed = os.fstat(self._descriptor).st_size
        self._degrade(error)
        if isinstance(self._current, MemoryQueue) and self._current.append(record):
            return True
        self.dropped += 1
        return False

    def _begin(self, source: RecordSource) -> None:
        self.sources = (*self.sources, source)
        self._switch(source)

    def _switch(self, source: RecordSource) -> None:
        old = self._current
        self._current = source
        self._segment = source if isinstance(source, Segment) else None
        self._descriptor = self._segment.descriptor if self._segment else -1
        self._room = 0
        if old is not None:
            old.seal()

    def _degrade(self, error: OSError) -> None:
        held = sum(queue.held for queue in self.sources if isinstance(queue, MemoryQueue))
        self._begin(MemoryQueue(self._memory_limit - held))
        self._warn(
            f"cannot record to {self._files.directory or 'disk'} ({error}): records wait in memory "
            "and are lost if this process is killed. Free disk space, make the directory writable, "
            "or set PREFACTOR_SPOOL_DIR to another; recording to disk resumes by itself"
        )

    def _used(self) -> int:
        return self._others_bytes + sum(source.disk_bytes for source in self.sources)

    def _update_room(self) -> None:
        if self._segment and not self._is_closed:
            room = self._limit - self._limit // RESERVE_DIVISOR - self._used()
            self._room = min(room, self._segment_size - self._segment.committed)

    # -- For the delivery thread

    @contextlib.contextmanager
    def _locked_for_delivery(self) -> Generator[None]:
        """Hold the lock. Times out, because its holder may be in a handler that waits for a flush.

        Raises:
            TimeoutError: The lock was not available; try again later.
        """
        if not self._lock.acquire(timeout=LOCK_TIMEOUT):
            raise TimeoutError("a recording call is blocked")
        try:
            yield
        finally:
            self._lock.release()

    @property
    def is_degraded(self) -> bool:
        """Whether records go to memory because the disk failed."""
        return isinstance(self._current, MemoryQueue)

    def restore(self) -> bool:
        """Try to resume recording to disk and to move records there. Return whether it worked."""
        queue = self._current
        if not isinstance(queue, MemoryQueue):
            return False
        if self._files.is_gone():
            self._files.release()
        try:
            segment = self._files.create_segment()
        except OSError:
            return False
        try:
            with self._locked_for_delivery():
                # Insert it before the queue, because records that move are older than the rest.
                at = self.sources.index(queue)
                self.sources = (*self.sources[:at], segment, *self.sources[at:])
            segment.probe()
            queue.move(segment.add)
            with self._locked_for_delivery():
                # Move the few records appended since.
                queue.move(segment.add)
                self._switch(segment)
                self._update_room()
        except OSError:
            segment.seal()
            if segment.is_done:
                self.remove(segment)
            return False
        return True

    def renew(self, old: RecordSource) -> None:
        """Start a new segment if the current one is fully acked, so that it can be deleted."""
        if old is not self._current:
            return
        enough = self._segment_size // 4 if self._room > 0 else 1
        if not isinstance(old, Segment) or not old.is_settled or old.committed < enough:
            return
        try:
            new = self._files.create_segment()
        except OSError:
            return
        with contextlib.suppress(TimeoutError), self._locked_for_delivery():
            if self._current is old:
                self._begin(new)
                self._update_room()
                return
        new.discard()

    def remove(self, source: RecordSource) -> None:
        """Delete a source that is done; on a lock timeout, leave it for the next call."""
        with contextlib.suppress(TimeoutError):
            with self._locked_for_delivery():
                self.sources = tuple(other for other in self.sources if other is not source)
                self._update_room()
            source.discard()

    def abandon(self, source: RecordSource) -> None:
        """Give up a source that cannot be read, leaving its file to another process."""
        with contextlib.suppress(TimeoutError):
            with self._locked_for_delivery():
                self.sources = tuple(other for other in self.sources if other is not source)
                if self._current is source:
                    self._forget_current()
            source.close()

    def sync(self) -> None:
        """Correct `committed` from the file, and sync all segments to disk.

        An exception raised by a signal handler can leave the counter behind the file.

        Raises:
            OSError: A file could not be read or synced.
        """
        with self._locked_for_delivery():
            current = self._segment
            if current:
                found = os.fstat(self._descriptor)
                if self._files.is_gone() or not found.st_nlink:
                    # Somebody emptied the directory. Open segments can still be delivered.
                    current.seal()
                    self._forget_current()
                    self._files.release()
                elif found.st_size > current.committed:
                    current.committed = found.st_size
        for source in self.sources:
            if source.is_done:  # deleting it failed earlier
                self.remove(source)
            elif isinstance(source, Segment):
                source.sync()

    def _forget_current(self) -> None:
        self._current = self._segment = None
        self._descriptor = -1
        self._room = 0

    def measure(self) -> None:
        """Measure the bytes that other processes take in the directory."""
        others = self._measure_others()
        with contextlib.suppress(TimeoutError), self._locked_for_delivery():
            self._others_bytes = others
            self._update_room()

    def _measure_others(self) -> int:
        directory = self._files.directory
        return other_processes_bytes(directory, self._files.process) if directory else 0

    def stop(self) -> None:
        """Reject all further records."""
        with self._lock:
            self._is_closed = True
            self._room = 0

    def close(self) -> None:
        """Delete what is delivered, and leave the rest to other processes."""
        # The last chance to save records in memory.
        self.restore()
        with self._lock:
            if self._current:
                self._current.seal()
            self._forget_current()
        for source in self.sources:
            if source.is_done:
                self.remove(source)
            source.close()
        if any(isinstance(source, Segment) for source in self.sources):
            self._files.release()
        else:
            self._files.remove()

    def close_files(self) -> None:
        """Close all descriptors and leave the files as they are."""
        for source in self.sources:
            source.close()
        self._files.release()
