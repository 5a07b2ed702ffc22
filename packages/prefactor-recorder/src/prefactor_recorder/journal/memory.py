"""The journal in memory, used when the disk is switched off or fails."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from prefactor_recorder.encoding.record import FRAME_SIZE, decode
from prefactor_recorder.journal.base import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class MemoryQueue:
    """A queue of records, bounded in bytes. Read records count until they are acked."""

    def __init__(self, limit: int) -> None:
        """Start empty.

        Args:
            limit: Maximum bytes of records to hold.
        """
        self.committed = 0
        self.expected = 0
        self.acked = 0
        self.sealed = False
        self.damaged = 0
        self._limit = limit
        self._records: deque[bytes] = deque()
        self._position = 0
        self._freed = 0

    @property
    def disk_bytes(self) -> int:
        """Always 0."""
        return 0

    @property
    def held(self) -> int:
        """Bytes of records in memory."""
        return self.committed - self._freed

    @property
    def unread(self) -> int:
        """Bytes not read."""
        return self.committed - self._position

    @property
    def is_done(self) -> bool:
        """Whether everything was acked and nothing can follow."""
        return self.sealed and self.acked == self.expected

    def append(self, record: bytes) -> bool:
        """Append a record; the caller holds the journal's lock. Return whether there was room."""
        size = len(record)
        if self.committed + size - self._freed > self._limit:
            return False
        # In this order, because a signal handler, which may record or raise, can only run after a
        # call and not between these lines. It finds and leaves the counts correct.
        self.committed += size
        self.expected += 1
        self._records.append(record)
        return True

    def read(self, limit: int) -> list[Entry]:
        """Return the next entries: about `limit` bytes, and at least one if there is any."""
        entries: list[Entry] = []
        while limit > 0 and self._records:
            data = self._records.popleft()
            size = len(data)
            limit -= size
            start = self._position
            self._position += size
            record = decode(data, FRAME_SIZE)
            if record is None:
                raise ValueError("only encoded records can be appended")
            entries.append(Entry(record, size, self, start))
        return entries

    def move(self, write: Callable[[bytes], None]) -> None:
        """Move all unread records to `write`, in order.

        Raises:
            OSError: `write` failed. That record and all after it are still here.
        """
        while self._records:
            record = self._records[0]
            write(record)
            self._records.popleft()
            self._position += len(record)
            self._freed += len(record)
            self.acked += 1

    def ack(self, entries: Iterable[Entry]) -> None:
        """Free the room of acked records."""
        for entry in entries:
            if not entry.is_settled:
                entry.is_settled = True
                self.acked += 1
                self._freed += entry.size

    def seal(self) -> None:
        """Mark the queue as complete; nothing is appended after this."""
        self.sealed = True

    def discard(self) -> None:
        """Remove everything."""
        self._records.clear()

    close = discard


class MemoryJournal:
    """Keeps records in this process only, and drops dead letters."""

    def __init__(self, limit: int) -> None:
        """Start empty.

        Args:
            limit: Maximum bytes of undelivered records to hold.
        """
        self._limit = limit
        self._start()

    def _start(self) -> None:
        self._lock = threading.RLock()
        self._queue = MemoryQueue(self._limit)
        self._dropped = 0
        self._is_closed = False

    def append(self, record: bytes) -> bool:
        """Append a record. Return whether there was room for it."""
        with self._lock:
            if not self._is_closed and self._queue.append(record):
                return True
            self._dropped += 1
            return False

    @property
    def unread(self) -> int:
        """Bytes appended and not read."""
        return self._queue.unread

    @property
    def undelivered(self) -> int:
        """Records neither acked nor dead-lettered."""
        return self._queue.expected - self._queue.acked

    @property
    def in_memory(self) -> int:
        """Undelivered records that would be lost with this process, which is all of them."""
        return self.undelivered

    @property
    def inherited(self) -> int:
        """Always 0, because memory does not outlive its process."""
        return 0

    @property
    def dropped(self) -> int:
        """Records rejected for lack of room, or because the journal was closed."""
        return self._dropped

    def read(self, limit: int) -> list[Entry]:
        """Return the next entries, about `limit` bytes of them."""
        return self._queue.read(limit)

    def ack(self, entries: Iterable[Entry]) -> None:
        """Remove entries that the server accepted."""
        acked = list(entries)
        if any(entry.source is not self._queue for entry in acked):
            raise TypeError("the entry is not from this journal")
        self._queue.ack(acked)

    def dead_letter(self, entry: Entry, refusal: dict[str, Any]) -> None:  # noqa: ARG002 - nowhere to put it
        """Drop an entry that the server will never accept; there is no file to keep it in."""
        self.ack([entry])

    def adopt(self) -> int:
        """Do nothing; memory does not outlive its process."""
        return 0

    def learn_account(self, account_id: str) -> None:
        """Do nothing; no other process will read this."""

    def maintain(self) -> int:
        """Do nothing."""
        return 0

    def close(self) -> None:
        """Reject all further records."""
        self._is_closed = True

    def after_fork(self) -> None:
        """In a forked child, start empty."""
        self._start()
