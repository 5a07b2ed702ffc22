"""Where records wait between the host that makes them and the thread that delivers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prefactor_recorder.encoding.record import Record


class Entry:
    """A record on its way out. It stays in the journal until it is settled or buried."""

    __slots__ = ("place", "record", "size")

    def __init__(self, record: Record, size: int, place: object) -> None:
        """Keep what the journal read.

        Args:
            record: The record.
            size: Bytes it takes in the journal.
            place: What the journal knows it by; nobody else looks inside.
        """
        self.record = record
        self.size = size
        self.place = place


class Journal(Protocol):
    """Keeps records until they are delivered. One is written to disk, one lives in memory.

    `append` is called from any thread of the host. Everything else is called by the delivery
    thread alone, except the counts, which anyone may read.
    """

    def append(self, record: bytes) -> bool:
        """Keep an encoded record; whether there was room for it.

        Does not raise and does not wait for anything but the `write()` itself. What was refused
        is counted in `dropped`.
        """
        ...

    @property
    def unread(self) -> int:
        """Bytes appended and not read yet."""
        ...

    @property
    def undelivered(self) -> int:
        """Records that were appended or taken over, and neither settled nor buried."""
        ...

    @property
    def inherited(self) -> int:
        """Those of the undelivered that were taken over from dead processes."""
        ...

    @property
    def dropped(self) -> int:
        """Records that there was no room for, or that came after the end."""
        ...

    def read(self, limit: int) -> list[Entry]:
        """The next entries in the order they were appended, about `limit` bytes of them.

        An entry is read once; after a crash, or a takeover by another process, again.
        """
        ...

    def settle(self, entries: Iterable[Entry]) -> None:
        """Forget entries that the server has taken."""
        ...

    def bury(self, entry: Entry, refusal: dict[str, Any]) -> None:
        """Put aside an entry that no server will ever take, with what it said."""
        ...

    def adopt(self) -> int:
        """Take over what dead processes left, to be read like one's own; how many records."""
        ...

    def learn_account(self, account_id: str) -> None:
        """Remember whose data this is, as the server said."""
        ...

    def maintain(self) -> int:
        """What has to be done about once a second; how many records that took over."""
        ...

    def close(self) -> None:
        """Let go of files and locks. What is undelivered stays for the next process."""
        ...

    def after_fork(self) -> None:
        """In a forked child: start empty. What was inherited is the parent's to deliver."""
        ...


class RecordSource(Protocol):
    """A segment on disk or a queue in memory: records are appended, read and settled in it."""

    committed: int
    expected: int
    settled: int
    sealed: bool
    damaged: int

    @property
    def disk_bytes(self) -> int:
        """Bytes it takes on disk."""
        ...

    @property
    def unread(self) -> int:
        """Bytes that another `read` may bring."""
        ...

    @property
    def is_done(self) -> bool:
        """Whether everything was read and settled, and nothing can follow."""
        ...

    def read(self, limit: int) -> list[Entry]:
        """Return the next entries, about `limit` bytes of them."""
        ...

    def settle(self, places: Iterable[Place]) -> None:
        """Mark records as settled."""
        ...

    def seal(self) -> None:
        """Append nothing from now on."""
        ...

    def discard(self) -> None:
        """Delete everything."""
        ...

    def shut(self) -> None:
        """Close what is open."""
        ...


class Place:
    """One record in a segment on disk, or in a queue in memory."""

    __slots__ = ("end", "is_settled", "source", "start")

    def __init__(self, source: RecordSource, start: int, end: int) -> None:
        """Keep where the record begins and ends in its source."""
        self.source = source
        self.start = start
        self.end = end
        self.is_settled = False


def place_of(entry: Entry) -> Place:
    """What a journal of this package put into an entry."""
    if not isinstance(entry.place, Place):
        raise TypeError("the entry is not from this journal")
    return entry.place
