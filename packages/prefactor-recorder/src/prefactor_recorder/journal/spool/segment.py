"""One segment file: its own process appends to it, whoever holds the lock reads and settles it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from prefactor_recorder.encoding.record import FRAME_SIZE, decode
from prefactor_recorder.journal.base import Entry, Place
from prefactor_recorder.journal.spool.acks import (
    ACK_SIZE,
    Settled,
    coalesce,
    decode_acks,
    encode_acks,
)
from prefactor_recorder.journal.spool.frames import Scan, frame_end, scan
from prefactor_recorder.journal.spool.paths import append_file, create_file, open_regular, read_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SEGMENT = ".seg"
ACK = ".ack"
_SMALLEST_PIECE = 512
_COUNTING_PIECE = 1 << 20
_PROBE = 64 * 1024


class Segment:
    """Records in a file. `committed`, `expected` and `sealed` are the writer's to change."""

    __slots__ = (
        "_ack_descriptor",
        "_is_counted",
        "_outstanding",
        "_position",
        "_seen",
        "_settled_before",
        "_skipped",
        "_stalled_at",
        "_synced",
        "committed",
        "damaged",
        "descriptor",
        "expected",
        "path",
        "sealed",
        "settled",
    )

    def __init__(self, path: Path, descriptor: int) -> None:
        """Keep an open file; see `create_segment` and `adopt_segment`."""
        self.path = path
        self.descriptor = descriptor
        self.committed = 0
        self.expected = 0
        self.settled = 0
        self.sealed = False
        self.damaged = 0
        self._settled_before = Settled()
        self._position = 0
        self._seen = 0
        # Bytes ahead that no entry will come from: settled before, or damaged.
        self._skipped = 0
        self._is_counted = False
        self._outstanding = 0
        self._stalled_at = -1
        self._synced = 0
        self._ack_descriptor = -1

    @property
    def disk_bytes(self) -> int:
        """Bytes of the file."""
        return self.committed

    @property
    def unread(self) -> int:
        """Bytes that another `read` may bring: none while it waits for a record to become whole."""
        if self._stalled_at == self.committed and not self.sealed:
            return 0
        return max(self.committed - self._position - self._skipped, 0)

    @property
    def is_done(self) -> bool:
        """Whether everything was read and settled, and nothing can follow."""
        return self.sealed and self._position >= self.committed and not self._outstanding

    @property
    def is_settled(self) -> bool:
        """Whether everything so far was read and settled, although more may follow."""
        return self._position == self.committed and not self._outstanding

    def read(self, limit: int) -> list[Entry]:
        """The next entries, about `limit` bytes of them and at least one if there is one.

        Raises:
            OSError: The file cannot be read.
        """
        entries: list[Entry] = []
        while limit > 0 and self.unread:
            wanted = max(limit, _SMALLEST_PIECE)
            data, found = self._read_piece(wanted)
            if len(data) > wanted:
                # Damage can look like a record that takes the whole file. What was looked through
                # to see that it is none is not all handed out at once.
                found = found.up_to(wanted)
            fresh = list(self._entries(data, self._position, found))
            size = sum(entry.size for entry in fresh)
            self._advance(data, found)
            self._skipped = max(self._skipped - (found.rest - size), 0)
            # What was settled before does not count: something is read as long as there is any.
            limit -= size
            entries += fresh
        if self.sealed and not self.unread:
            self._position = self.committed
        self._outstanding += len(entries)
        self._seen += len(entries)
        if self.sealed and self._position >= self.committed:
            # What was lost to damage is not waited for.
            self.expected = self._seen
        return entries

    def settle(self, places: Iterable[Place]) -> None:
        """Remember that these are settled, across a crash if the disk lets us.

        An ack that cannot be written costs a second delivery after a crash, under the same key.
        """
        ranges: list[tuple[int, int]] = []
        for place in places:
            if not place.is_settled:
                place.is_settled = True
                ranges.append((place.start, place.end))
        self.settled += len(ranges)
        self._outstanding -= len(ranges)
        # The file itself is about to go: that says the same, and costs no write.
        if ranges and not self.is_done:
            with contextlib.suppress(OSError):
                self._write_acks(encode_acks(coalesce(ranges)))

    def sync(self) -> None:
        """Have the disk keep what was appended since the last time.

        Raises:
            OSError: It does not.
        """
        committed = self.committed
        if self._synced != committed and self.descriptor >= 0:
            _fdatasync(self.descriptor)
            self._synced = committed

    def add(self, record: bytes) -> None:
        """Append a record while nobody else does.

        Raises:
            OSError: It is not there, nor a part of it.
        """
        if os.write(self.descriptor, record) != len(record):
            os.ftruncate(self.descriptor, self.committed)
            raise OSError("the disk is full")
        self.committed += len(record)
        self.expected += 1

    def seal(self) -> None:
        """Nothing is appended any more. What is in the file counts, not what was counted."""
        with contextlib.suppress(OSError):
            self.committed = os.fstat(self.descriptor).st_size
        self.sealed = True

    def probe(self) -> None:
        """See whether the disk takes more than an empty file.

        Raises:
            OSError: It does not.
        """
        try:
            if os.write(self.descriptor, bytes(_PROBE)) != _PROBE:
                raise OSError("the disk is full")
        finally:
            os.ftruncate(self.descriptor, 0)

    def discard(self) -> None:
        """Delete the file, and what was noted about it."""
        self.shut()
        # In this order: acks without their segment mean nothing, and are swept away.
        for path in (self.path, self.path.with_suffix(ACK)):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def shut(self) -> None:
        """Close what is open, and leave the files as they are."""
        for descriptor in (self.descriptor, self._ack_descriptor):
            if descriptor >= 0:
                # It may be closed: by the host, which closed all that were open, or by the parent
                # just when it forked.
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self.descriptor = self._ack_descriptor = -1

    def count(self) -> None:
        """Learn from a dead process's file what there is to deliver.

        Raises:
            OSError: The file cannot be read.
        """
        self.sealed = True
        self.committed = os.fstat(self.descriptor).st_size
        # Acks that cannot be read cost a second delivery, under the same keys.
        with contextlib.suppress(OSError):
            self._settled_before = decode_acks(read_file(self.path.with_suffix(ACK)))
        self._skipped = self.committed
        while self._position < self.committed:
            data, found = self._read_piece(_COUNTING_PIECE)
            base = self._position
            sizes = [
                end - start
                for start, end in found.frames
                if not self._settled_before.covers(base + start, base + end)
            ]
            self.expected += len(sizes)
            self._skipped -= sum(sizes)
            self._advance(data, found)
        self._is_counted = True
        if self.expected:
            self._position = 0

    def _read_piece(self, size: int) -> tuple[bytes, Scan]:
        """Bytes from here on, enough for at least one record, and where the records in them are."""
        # In this order: once it is sealed, `committed` does not change any more.
        sealed = self.sealed
        left = self.committed - self._position
        while True:
            wanted = min(size, left)
            data = os.pread(self.descriptor, wanted, self._position)
            # A shorter answer means that somebody cut the file.
            last = len(data) < wanted or wanted == left
            found = scan(data, last=last)
            if found.frames:
                return data, found
            if last:
                return data, (found if not sealed else self._give_up(data, found))
            # As much as the record says it needs, if that can be true; what is damaged may not.
            needed = frame_end(data, 0)
            size = needed if wanted < needed <= left else size * 4

    def _give_up(self, data: bytes, found: Scan) -> Scan:
        """Pass over the end of a file that nobody will complete."""
        # A record that does not end is what a killed process leaves: it is cut, and no damage.
        torn = frame_end(data, found.rest) > len(data)
        damaged = found.damaged + (0 if torn else len(data) - found.rest)
        return Scan([], damaged, self.committed - self._position)

    def _advance(self, data: bytes, found: Scan) -> None:
        if found.rest == 0 and not found.frames:
            self._stalled_at = self._position + len(data)
        self._position += found.rest
        if not self._is_counted:
            self.damaged += found.damaged

    def _entries(self, data: bytes, base: int, found: Scan) -> Iterable[Entry]:
        settled_before = self._settled_before
        for start, end in found.frames:
            if settled_before and settled_before.covers(base + start, base + end):
                continue
            record = decode(data[start + FRAME_SIZE : end])
            if record is None:
                self.damaged += end - start
                continue
            yield Entry(record, end - start, Place(self, base + start, base + end))

    def _write_acks(self, acks: bytes) -> None:
        if self._ack_descriptor < 0:
            self._ack_descriptor = append_file(self.path.with_suffix(ACK))
        # A torn range would shift all that follow.
        size = os.fstat(self._ack_descriptor).st_size
        if size % ACK_SIZE:
            os.ftruncate(self._ack_descriptor, size - size % ACK_SIZE)
        os.write(self._ack_descriptor, acks)


def process_of(path: Path) -> str:
    """The process that a file belongs to, by its name."""
    if path.suffix in {SEGMENT, ACK}:
        return path.stem.rpartition("-")[0]
    return path.stem


def create_segment(path: Path) -> Segment:
    """A new, empty segment to append to.

    Raises:
        OSError: It cannot be created.
    """
    return Segment(path, create_file(path))


def adopt_segment(path: Path) -> Segment:
    """A segment of a dead process, counted.

    Raises:
        OSError: It cannot be read.
    """
    segment = Segment(path, open_regular(path, os.O_RDONLY))
    try:
        segment.count()
    except BaseException:
        segment.shut()
        raise
    return segment


def look_at_segment(path: Path) -> int:
    """How many records of a segment are not settled, whoever it belongs to.

    Raises:
        OSError: It cannot be read.
    """
    segment = adopt_segment(path)
    segment.shut()
    return segment.expected


def _fdatasync(descriptor: int) -> None:
    # macOS has no fdatasync.
    getattr(os, "fdatasync", os.fsync)(descriptor)
