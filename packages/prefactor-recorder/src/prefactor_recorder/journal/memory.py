"""The journal in memory: for those who switch the disk off, and for when the disk fails."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from prefactor_recorder.encoding.record import FRAME_SIZE, decode
from prefactor_recorder.journal.base import Entry, Place, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class MemoryQueue:
    """Records in memory, bounded in bytes. What was read counts until it is settled."""

    def __init__(self, limit: int) -> None:
        """Start empty.

        Args:
            limit: Bytes of records to hold at most.
        """
        self.committed = 0
        self.expected = 0
        self.settled = 0
        self.sealed = False
        self.damaged = 0
        self._limit = limit
        self._records: deque[bytes] = deque()
        self._position = 0
        self._freed = 0

    @property
    def disk_bytes(self) -> int:
        """Nothing."""
        return 0

    @property
    def held(self) -> int:
        """Bytes of records in memory."""
        return self.committed - self._freed

    @property
    def unread(self) -> int:
        """Bytes that were not read yet."""
        return self.committed - self._position

    @property
    def is_done(self) -> bool:
        """Whether everything was settled, and nothing can follow."""
        return self.sealed and self.settled == self.expected

    def append(self, record: bytes) -> bool:
        """Keep a record; whether there was room. The caller holds the journal's lock."""
        size = len(record)
        if self.committed + size - self._freed > self._limit:
            return False
        # In this order: a signal handler, which may record and may raise, runs after a call and not
        # between these. So it finds the counts right, and leaves them right.
        self.committed += size
        self.expected += 1
        self._records.append(record)
        return True

    def read(self, limit: int) -> list[Entry]:
        """The next entries, about `limit` bytes of them and at least one if there is one."""
        entries: list[Entry] = []
        while limit > 0 and self._records:
            data = self._records.popleft()
            size = len(data)
            limit -= size
            start = self._position
            self._position += size
            record = decode(data[FRAME_SIZE:])
            if record is None:
                raise ValueError("only encoded records can be appended")
            entries.append(Entry(record, size, Place(self, start, start + size)))
        return entries

    def move(self, write: Callable[[bytes], None]) -> None:
        """Hand over what nobody has read yet, in order, as if it had never been here.

        Raises:
            OSError: `write` did. That record and those behind it are still here.
        """
        while self._records:
            record = self._records[0]
            write(record)
            self._records.popleft()
            self._position += len(record)
            self._freed += len(record)
            self.settled += 1

    def settle(self, places: Iterable[Place]) -> None:
        """Make room again."""
        for place in places:
            if not place.is_settled:
                place.is_settled = True
                self.settled += 1
                self._freed += place.end - place.start

    def seal(self) -> None:
        """Nothing is appended any more."""
        self.sealed = True

    def discard(self) -> None:
        """Forget everything."""
        self._records.clear()

    shut = discard


class MemoryJournal:
    """Keeps records in this process alone, and dead letters only as a number."""

    def __init__(self, limit: int) -> None:
        """Start empty.

        Args:
            limit: Bytes of undelivered records to hold at most.
        """
        self._limit = limit
        self._start()

    def _start(self) -> None:
        self._lock = threading.RLock()
        self._queue = MemoryQueue(self._limit)
        self._dropped = 0
        self._is_closed = False

    def append(self, record: bytes) -> bool:
        """Keep a record; whether there was room for it."""
        with self._lock:
            if not self._is_closed and self._queue.append(record):
                return True
            self._dropped += 1
            return False

    @property
    def unread(self) -> int:
        """Bytes appended and not read yet."""
        return self._queue.unread

    @property
    def undelivered(self) -> int:
        """Records that were neither settled nor buried."""
        return self._queue.expected - self._queue.settled

    @property
    def in_memory(self) -> int:
        """Those of them that end with this process: all."""
        return self.undelivered

    @property
    def inherited(self) -> int:
        """None: memory dies with its process."""
        return 0

    @property
    def dropped(self) -> int:
        """Records that there was no room for, or that came after the end."""
        return self._dropped

    def read(self, limit: int) -> list[Entry]:
        """The next entries, about `limit` bytes of them."""
        return self._queue.read(limit)

    def settle(self, entries: Iterable[Entry]) -> None:
        """Forget entries that the server has taken."""
        self._queue.settle([place_of(entry) for entry in entries])

    def bury(self, entry: Entry, refusal: dict[str, Any]) -> None:  # noqa: ARG002 - nowhere to put it
        """Forget an entry that no server will ever take: there is no file to put it into."""
        self.settle([entry])

    def adopt(self) -> int:
        """Nothing: memory dies with its process."""
        return 0

    def learn_account(self, account_id: str) -> None:
        """Nothing: nobody else will read this."""

    def maintain(self) -> int:
        """Nothing."""
        return 0

    def close(self) -> None:
        """Take nothing more."""
        self._is_closed = True

    def after_fork(self) -> None:
        """In a forked child: start empty."""
        self._start()
