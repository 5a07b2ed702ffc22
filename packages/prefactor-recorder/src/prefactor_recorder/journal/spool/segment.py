"""A segment file: its process appends to it, the holder of the lock reads and acks it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from prefactor_recorder.encoding.record import FRAME_SIZE, decode
from prefactor_recorder.journal.base import Entry
from prefactor_recorder.journal.spool.acks import (
    ACK_SIZE,
    AckedRanges,
    decode_acks,
    encode_acks,
    merge_ranges,
)
from prefactor_recorder.journal.spool.frames import Scan, frame_end, scan
from prefactor_recorder.journal.spool.paths import append_file, create_file, open_regular, read_file
from prefactor_recorder.locks import exit_lock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SEGMENT = ".seg"
ACK = ".ack"
_MIN_READ = 512
_COUNT_READ = 1 << 20
_PROBE_BYTES = 64 * 1024


class Segment:
    """Records in a file. The writer updates `committed`, `expected` and `sealed`."""

    __slots__ = (
        "_ack_descriptor",
        "_acked_before",
        "_is_counted",
        "_position",
        "_records_read",
        "_skipped",
        "_stalled_at",
        "_synced",
        "_unacked",
        "acked",
        "committed",
        "damaged",
        "descriptor",
        "expected",
        "path",
        "sealed",
    )

    def __init__(self, path: Path, descriptor: int) -> None:
        """Wrap an open file; see `create_segment` and `adopt_segment`."""
        self.path = path
        self.descriptor = descriptor
        self.committed = 0
        self.expected = 0
        self.acked = 0
        self.sealed = False
        self.damaged = 0
        self._acked_before = AckedRanges()
        self._position = 0
        self._records_read = 0
        # Bytes ahead that yield no entries, because they were acked before or are damaged.
        self._skipped = 0
        self._is_counted = False
        self._unacked = 0
        self._stalled_at = -1
        self._synced = 0
        self._ack_descriptor = -1

    @property
    def disk_bytes(self) -> int:
        """Bytes of the file."""
        return self.committed

    @property
    def unread(self) -> int:
        """Bytes that `read` may return; 0 while the next record is incomplete."""
        if self._stalled_at == self.committed and not self.sealed:
            return 0
        return max(self.committed - self._position - self._skipped, 0)

    @property
    def is_done(self) -> bool:
        """Whether everything was read and acked, and nothing can follow."""
        return self.sealed and self._position >= self.committed and not self._unacked

    @property
    def is_settled(self) -> bool:
        """Whether everything so far was read and acked; more may follow."""
        return self._position == self.committed and not self._unacked

    def read(self, limit: int) -> list[Entry]:
        """Return the next entries: about `limit` bytes, and at least one if there is any.

        Raises:
            OSError: The file cannot be read.
        """
        entries: list[Entry] = []
        while limit > 0 and self.unread:
            size_limit = max(limit, _MIN_READ)
            data, found = self._read_frames(size_limit)
            if len(data) > size_limit:
                # Damage can look like a record as long as the file, which makes us read far more
                # than the limit. Return only entries within the limit.
                found = found.up_to(size_limit)
            fresh = self._entries(data, self._position, found)
            size = sum([entry.size for entry in fresh])
            self._advance(data, found)
            self._skipped = max(self._skipped - (found.rest - size), 0)
            # Records acked before do not count, so that something is returned if there is any.
            limit -= size
            entries += fresh
        if self.sealed and not self.unread:
            self._position = self.committed
        self._unacked += len(entries)
        self._records_read += len(entries)
        if self.sealed and self._position >= self.committed:
            # Do not wait for records lost to damage.
            self.expected = self._records_read
        return entries

    def ack(self, entries: Iterable[Entry]) -> None:
        """Ack records, and write that to disk if possible.

        An ack that cannot be written means a second delivery after a crash, under the same key.
        """
        ranges: list[tuple[int, int]] = []
        for entry in entries:
            if not entry.is_settled:
                entry.is_settled = True
                ranges.append((entry.start, entry.start + entry.size))
        self.acked += len(ranges)
        self._unacked -= len(ranges)
        # A segment that is done is deleted anyway, which saves the write.
        if ranges and not self.is_done:
            with contextlib.suppress(OSError):
                self._write_acks(encode_acks(merge_ranges(ranges)))

    def sync(self) -> None:
        """Sync what was appended since the last call to disk.

        Raises:
            OSError: Syncing failed.
        """
        committed = self.committed
        if self._synced != committed and self.descriptor >= 0:
            with exit_lock.waiting():
                _fdatasync(self.descriptor)
            self._synced = committed

    def add(self, record: bytes) -> None:
        """Append a record, while no other thread does.

        Raises:
            OSError: Writing failed; no part of the record is left.
        """
        if os.write(self.descriptor, record) != len(record):
            os.ftruncate(self.descriptor, self.committed)
            raise OSError("the disk is full")
        self.committed += len(record)
        self.expected += 1

    def seal(self) -> None:
        """Mark the segment as complete, with the file's real size rather than the counted one."""
        with contextlib.suppress(OSError):
            self.committed = os.fstat(self.descriptor).st_size
        self.sealed = True

    def probe(self) -> None:
        """Check that the disk accepts more than an empty file.

        Raises:
            OSError: It does not.
        """
        try:
            if os.write(self.descriptor, bytes(_PROBE_BYTES)) != _PROBE_BYTES:
                raise OSError("the disk is full")
        finally:
            os.ftruncate(self.descriptor, 0)

    def discard(self) -> None:
        """Delete the file and its acks."""
        self.close()
        # In this order: acks without their segment are harmless and cleaned up later.
        for path in (self.path, self.path.with_suffix(ACK)):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the descriptors and leave the files as they are."""
        for descriptor in (self.descriptor, self._ack_descriptor):
            if descriptor >= 0:
                # It may be closed already, by a host that closes all descriptors or by the parent
                # during the fork.
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self.descriptor = self._ack_descriptor = -1

    def count(self) -> None:
        """Count the undelivered records of a dead process's file.

        Raises:
            OSError: The file cannot be read.
        """
        self.sealed = True
        self.committed = os.fstat(self.descriptor).st_size
        # Unreadable acks mean a second delivery, under the same keys.
        with contextlib.suppress(OSError):
            self._acked_before = decode_acks(read_file(self.path.with_suffix(ACK)))
        self._skipped = self.committed
        while self._position < self.committed:
            data, found = self._read_frames(_COUNT_READ)
            base = self._position
            sizes = [
                end - start
                for start, end in found.frames
                if not self._acked_before.covers(base + start, base + end)
            ]
            self.expected += len(sizes)
            self._skipped -= sum(sizes)
            self._advance(data, found)
            exit_lock.stop_here()
        self._is_counted = True
        if self.expected:
            self._position = 0

    def _read_frames(self, size: int) -> tuple[bytes, Scan]:
        """Read at least one record from the current position. Return the bytes and their scan."""
        # In this order, because `committed` no longer changes once it is sealed.
        sealed = self.sealed
        left = self.committed - self._position
        while True:
            requested = min(size, left)
            data = os.pread(self.descriptor, requested, self._position)
            # Fewer bytes mean that the file was truncated.
            last = len(data) < requested or requested == left
            found = scan(data, last=last)
            if found.frames:
                return data, found
            if last:
                return data, (found if not sealed else self._skip_tail(data, found))
            # Read as much as the record's length says, if plausible; it may be damaged.
            needed = frame_end(data, 0)
            size = needed if requested < needed <= left else size * 4

    def _skip_tail(self, data: bytes, found: Scan) -> Scan:
        """Skip the incomplete end of a file that nothing will be appended to."""
        # A killed process leaves a torn record, which does not count as damage.
        torn = frame_end(data, found.rest) > len(data)
        damaged = found.damaged + (0 if torn else len(data) - found.rest)
        return Scan([], damaged, self.committed - self._position)

    def _advance(self, data: bytes, found: Scan) -> None:
        if found.rest == 0 and not found.frames:
            self._stalled_at = self._position + len(data)
        self._position += found.rest
        if not self._is_counted:
            self.damaged += found.damaged

    def _entries(self, data: bytes, base: int, found: Scan) -> list[Entry]:
        entries: list[Entry] = []
        acked_before = self._acked_before
        for start, end in found.frames:
            if acked_before and acked_before.covers(base + start, base + end):
                continue
            record = decode(data, start + FRAME_SIZE, end)
            if record is None:
                self.damaged += end - start
                continue
            entries.append(Entry(record, end - start, self, base + start))
        return entries

    def _write_acks(self, acks: bytes) -> None:
        if self._ack_descriptor < 0:
            self._ack_descriptor = append_file(self.path.with_suffix(ACK))
        # A torn range would misalign all that follow.
        size = os.fstat(self._ack_descriptor).st_size
        if size % ACK_SIZE:
            os.ftruncate(self._ack_descriptor, size - size % ACK_SIZE)
        os.write(self._ack_descriptor, acks)


def process_of(path: Path) -> str:
    """Return the name of the process that a file belongs to."""
    if path.suffix in {SEGMENT, ACK}:
        return path.stem.rpartition("-")[0]
    return path.stem


def create_segment(path: Path) -> Segment:
    """Create an empty segment.

    Raises:
        OSError: It cannot be created.
    """
    return Segment(path, create_file(path))


def adopt_segment(path: Path) -> Segment:
    """Open and count a segment of a dead process.

    Raises:
        OSError: It cannot be read.
    """
    segment = Segment(path, open_regular(path, os.O_RDONLY))
    try:
        segment.count()
    except BaseException:
        segment.close()
        raise
    return segment


def count_undelivered(path: Path) -> int:
    """Return the number of undelivered records of any process's segment.

    Raises:
        OSError: It cannot be read.
    """
    segment = adopt_segment(path)
    segment.close()
    return segment.expected


def _fdatasync(descriptor: int) -> None:
    # macOS has no fdatasync.
    getattr(os, "fdatasync", os.fsync)(descriptor)
