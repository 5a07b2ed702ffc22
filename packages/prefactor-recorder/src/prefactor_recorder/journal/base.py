"""The interface of journals, which hold records until they are delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prefactor_recorder.encoding.record import Record


class Entry:
    """A record read from a journal, which keeps it until it is acked or dead-lettered."""

    __slots__ = ("is_settled", "record", "size", "source", "start")

    def __init__(self, record: Record, size: int, source: RecordSource, start: int = 0) -> None:
        """Create an entry.

        Args:
            record: The record.
            size: Its bytes in the journal.
            source: Where the journal keeps it.
            start: Where it begins in its source.
        """
        self.record = record
        self.size = size
        self.source = source
        self.start = start
        self.is_settled = False


class Journal(Protocol):
    """Keeps records until they are delivered, on disk or in memory.

    `append` may be called from any thread. Everything else is called by the delivery thread only,
    except the counts, which any thread may read.
    """

    def append(self, record: bytes) -> bool:
        """Append an encoded record. Return whether there was room for it.

        Never raises, and blocks only for the `write()` itself. Rejected records are counted in
        `dropped`.
        """
        ...

    @property
    def unread(self) -> int:
        """Bytes appended and not read."""
        ...

    @property
    def undelivered(self) -> int:
        """Records appended or adopted, and neither acked nor dead-lettered."""
        ...

    @property
    def inherited(self) -> int:
        """Undelivered records adopted from dead processes."""
        ...

    @property
    def dropped(self) -> int:
        """Records rejected for lack of room, or because the journal was closed."""
        ...

    def read(self, limit: int) -> list[Entry]:
        """Return the next entries in append order, about `limit` bytes of them.

        Each entry is read once, and again after a crash or by a process that adopts it.
        """
        ...

    def ack(self, entries: Iterable[Entry]) -> None:
        """Remove entries that the server accepted."""
        ...

    def dead_letter(self, entry: Entry, refusal: dict[str, Any]) -> None:
        """Move an entry that the server will never accept to the dead letters, with the error."""
        ...

    def adopt(self) -> int:
        """Adopt the records of dead processes, to be read like our own. Return their number."""
        ...

    def learn_account(self, account_id: str) -> None:
        """Store the account that the data belongs to, as the server reported it."""
        ...

    def maintain(self) -> int:
        """Do periodic work; call about once a second. Return the number of records adopted."""
        ...

    def close(self) -> None:
        """Release files and locks. Undelivered records stay for the next process."""
        ...

    def after_fork(self) -> None:
        """In a forked child, start empty, because the parent delivers the earlier records."""
        ...


class RecordSource(Protocol):
    """A segment on disk or a queue in memory, whose records are appended, read and settled."""

    committed: int
    expected: int
    acked: int
    sealed: bool
    damaged: int

    @property
    def disk_bytes(self) -> int:
        """Bytes it takes on disk."""
        ...

    @property
    def unread(self) -> int:
        """Bytes that `read` may still return."""
        ...

    @property
    def is_done(self) -> bool:
        """Whether everything was read and settled, and nothing can follow."""
        ...

    def read(self, limit: int) -> list[Entry]:
        """Return the next entries, about `limit` bytes of them."""
        ...

    def ack(self, entries: Iterable[Entry]) -> None:
        """Mark records as settled."""
        ...

    def seal(self) -> None:
        """Mark it as complete; nothing is appended after this."""
        ...

    def discard(self) -> None:
        """Delete everything."""
        ...

    def close(self) -> None:
        """Close open files."""
        ...
