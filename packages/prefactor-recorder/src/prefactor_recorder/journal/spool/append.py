"""Appending: one `write()` for each record, by whatever thread records it."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from prefactor_recorder.journal.memory import MemoryQueue
from prefactor_recorder.journal.spool.quota import RESERVE, bytes_of_others, fits
from prefactor_recorder.journal.spool.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from prefactor_recorder.journal.base import RecordSource
    from prefactor_recorder.journal.spool.process_files import SpoolFiles

PATIENCE = 0.25
"""Seconds that the delivery thread waits for a call that records; one takes a few millionths."""

"""Records in the order they came."""


class Writer:
    """The sources that this process fills, in order, and the one that is being filled.

    The lock is re-entrant, because a signal handler or a finaliser may record while the thread it
    interrupts is recording. Such a record finds the counters right but for the one call that it
    interrupts.
    """

    def __init__(
        self,
        files: SpoolFiles,
        note: Callable[[str], None],
        *,
        limit: int,
        memory_limit: int,
        segment_size: int,
    ) -> None:
        """Start with nothing open.

        Args:
            files: Where segments are made.
            note: Told what the user should know.
            limit: Bytes that the account's directory may take.
            memory_limit: Bytes of records to hold in memory while the disk fails.
            segment_size: Bytes after which a new segment is begun.
        """
        self._limit = limit
        self._memory_limit = memory_limit
        self._segment_size = segment_size
        self.reset(files, note)

    def reset(self, files: SpoolFiles, note: Callable[[str], None]) -> None:
        """Forget everything, as a forked child has to; nothing is closed."""
        self._files = files
        self._note = note
        self._lock = threading.RLock()
        self.sources: tuple[RecordSource, ...] = ()
        self.dropped = self.late = 0
        # The source that is being filled; in `_segment` again if it is a file.
        self._current: RecordSource | None = None
        self._segment: Segment | None = None
        self._descriptor = -1
        # Bytes that may be written to the segment without asking.
        self._left = 0
        self._others = 0
        self._is_closed = False
        self._late: list[bytes] | None = None

    def append(self, record: bytes) -> bool:
        """Keep an encoded record; whether there was room for it."""
        with self._lock:
            size = len(record)
            segment = self._segment
            if segment is None or size > self._left:
                return self._append_slowly(record)
            before = segment.committed
            try:
                written = os.write(self._descriptor, record)
            except OSError as error:
                return self._append_elsewhere(record, before, error)
            if written != size:
                return self._append_elsewhere(record, before, OSError("the disk is full"))
            segment.committed += size
            segment.expected += 1
            self._left -= size
            return True

    def _append_slowly(self, record: bytes) -> bool:
        if self._late is not None:
            # This very thread is below, opening a file. What a signal handler records meanwhile
            # waits for that, and is not counted as lost.
            self._late.append(record)
            return True
        self._late = []
        try:
            kept = self._place(record)
        finally:
            late, self._late = self._late, None
        for other in late:
            self.append(other)
        return kept

    def _place(self, record: bytes) -> bool:
        if self._is_closed:
            # Not for want of room, which is what is warned about: the host said that this is all.
            self.late += 1
            return False
        try:
            self._make_ready(len(record))
        except OSError as error:
            self._degrade(error)
        if self._put(record):
            return True
        self.dropped += 1
        return False

    def _make_ready(self, size: int) -> None:
        segment = self._segment
        if self._current is None:
            self._begin(self._files.create_segment())
            self._others = self._weigh_others()
        elif segment and segment.committed and segment.committed + size > self._segment_size:
            self._begin(self._files.create_segment())

    def _put(self, record: bytes) -> bool:
        if isinstance(self._current, MemoryQueue):
            return self._current.append(record)
        if not fits(record, self._used(), self._limit):
            return False
        self._left = len(record)
        kept = self.append(record)
        self._grant()
        return kept

    def _append_elsewhere(self, record: bytes, before: int, error: OSError) -> bool:
        """Cut what was half written, and go on in memory."""
        segment = self._segment
        with contextlib.suppress(OSError):
            if segment and segment.committed == before:
                os.ftruncate(self._descriptor, before)
            elif segment:
                # A signal handler has recorded behind the half: what is whole is worth more than
                # a clean file, and readers pass over the rest.
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
        self._left = 0
        if old is not None:
            old.seal()

    def _degrade(self, error: OSError) -> None:
        held = sum(queue.held for queue in self.sources if isinstance(queue, MemoryQueue))
        self._begin(MemoryQueue(self._memory_limit - held))
        self._note(
            f"cannot record to {self._files.directory or 'disk'} ({error}): records wait in memory "
            "and are lost if this process is killed. Make room, make the directory writable, or "
            "name another in PREFACTOR_SPOOL_DIR; recording goes back to it by itself"
        )

    def _used(self) -> int:
        return self._others + sum(source.disk_bytes for source in self.sources)

    def _grant(self) -> None:
        if self._segment and not self._is_closed:
            room = self._limit - self._limit // RESERVE - self._used()
            self._left = min(room, self._segment_size - self._segment.committed)

    # -- For the delivery thread

    @contextlib.contextmanager
    def _patiently(self) -> Generator[None]:
        """The lock, unless whoever holds it was interrupted by a handler that waits for a flush.

        Raises:
            TimeoutError: That is so; what was to be done has to be done later.
        """
        if not self._lock.acquire(timeout=PATIENCE):
            raise TimeoutError("a call that records is held up")
        try:
            yield
        finally:
            self._lock.release()

    @property
    def is_degraded(self) -> bool:
        """Whether records go to memory because the disk failed."""
        return isinstance(self._current, MemoryQueue)

    def restore(self) -> bool:
        """Go back to the disk, with what waits in memory, if it takes that; whether it did."""
        queue = self._current
        if not isinstance(queue, MemoryQueue):
            return False
        if self._files.is_gone():
            self._files.drop()
        try:
            segment = self._files.create_segment()
        except OSError:
            return False
        try:
            with self._patiently():
                # In front: what it gets was recorded before what stays in memory if it gets no
                # more.
                at = self.sources.index(queue)
                self.sources = (*self.sources[:at], segment, *self.sources[at:])
            segment.probe()
            queue.move(segment.add)
            with self._patiently():
                # The few that came meanwhile.
                queue.move(segment.add)
                self._switch(segment)
                self._grant()
        except OSError:
            segment.seal()
            if segment.is_done:
                self.retire(segment)
            return False
        return True

    def renew(self, old: RecordSource) -> None:
        """Begin a new file if everything in the current one is settled, so that it can go."""
        if old is not self._current:
            return
        enough = self._segment_size // 4 if self._left > 0 else 1
        if not isinstance(old, Segment) or not old.is_settled or old.committed < enough:
            return
        try:
            new = self._files.create_segment()
        except OSError:
            return
        with contextlib.suppress(TimeoutError), self._patiently():
            if self._current is old:
                self._begin(new)
                self._grant()
                return
        new.discard()

    def retire(self, source: RecordSource) -> None:
        """Delete a source that is done, or leave it for the next time that it is asked for."""
        with contextlib.suppress(TimeoutError):
            with self._patiently():
                self.sources = tuple(other for other in self.sources if other is not source)
                self._grant()
            source.discard()

    def abandon(self, source: RecordSource) -> None:
        """Leave a file that cannot be read to somebody else."""
        with contextlib.suppress(TimeoutError):
            with self._patiently():
                self.sources = tuple(other for other in self.sources if other is not source)
                if self._current is source:
                    self._forget_current()
            source.shut()

    def catch_up(self) -> None:
        """See what is really in the current file, and have the disk keep all of them.

        An exception out of a signal handler can leave the counter behind the file.

        Raises:
            OSError: It could not be looked at, or not be kept.
        """
        with self._patiently():
            current = self._segment
            if current:
                found = os.fstat(self._descriptor)
                if self._files.is_gone() or not found.st_nlink:
                    # Somebody emptied the directory. What is open can still be delivered.
                    current.seal()
                    self._forget_current()
                    self._files.drop()
                elif found.st_size > current.committed:
                    current.committed = found.st_size
        for source in self.sources:
            if source.is_done:  # it could not be deleted when it was
                self.retire(source)
            elif isinstance(source, Segment):
                source.sync()

    def _forget_current(self) -> None:
        self._current = self._segment = None
        self._descriptor = -1
        self._left = 0

    def weigh(self) -> None:
        """Look at how much of the directory others take."""
        others = self._weigh_others()
        with contextlib.suppress(TimeoutError), self._patiently():
            self._others = others
            self._grant()

    def _weigh_others(self) -> int:
        directory = self._files.directory
        return bytes_of_others(directory, self._files.process) if directory else 0

    def refuse(self) -> None:
        """Take nothing more."""
        with self._lock:
            self._is_closed = True
            self._left = 0

    def close(self) -> None:
        """Delete what is settled, and leave the rest to somebody else."""
        # The last chance for what waits in memory.
        self.restore()
        with self._lock:
            if self._current:
                self._current.seal()
            self._forget_current()
        for source in self.sources:
            if source.is_done:
                self.retire(source)
            source.shut()
        if any(isinstance(source, Segment) for source in self.sources):
            self._files.drop()
        else:
            self._files.remove()

    def shut(self) -> None:
        """Close every descriptor and leave the files as they are."""
        for source in self.sources:
            source.shut()
        self._files.drop()
