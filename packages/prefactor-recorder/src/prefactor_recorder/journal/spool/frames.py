"""Finds the records in a segment's bytes, even in damaged ones. Pure.

A segment is a plain sequence of records, so in an intact file each record's length leads to the
next. Where a length or CRC is wrong, the search for the next record is byte by byte. It never
finds a record inside another one, because every record starts with bytes below 0x20, which JSON
never contains.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from prefactor_recorder.encoding.record import FRAME_SIZE, MAX_ID, MAX_RECORD, Operation

_FRAME = Struct("<II")
_HEAD_SIZE = 3
_SMALLEST = FRAME_SIZE + _HEAD_SIZE

# What follows a record's frame: an operation and two lengths. A look-ahead, because candidates may
# overlap. The regular expression skips damage at C speed and leaves so few candidates that checking
# the CRC of each does not take quadratic time.
_HEAD = re.compile(
    b"(?=[%b][\x00-%c][\x00-%c])"
    % (re.escape(bytes(int(operation) for operation in Operation)), MAX_ID, MAX_ID),
    re.DOTALL,
)


Frame = tuple[int, int]
"""Start and end offset of a record with a matching CRC in the scanned bytes."""


class Scan(NamedTuple):
    """The result of scanning a chunk of a segment."""

    frames: list[Frame]
    """The records, in order."""
    damaged: int
    """Bytes between them that belong to no record."""
    rest: int
    """Offset of the trailing bytes that are not a complete record."""

    def up_to(self, limit: int) -> Scan:
        """Return the same scan limited to about `limit` bytes of records."""
        taken = 0
        for index, (start, end) in enumerate(self.frames[:-1], 1):
            taken += end - start
            if taken >= limit:
                rest = self.frames[index][0]
                return Scan(self.frames[:index], rest - taken, rest)
        return self


def scan(data: bytes, *, last: bool) -> Scan:
    """Find the records in a chunk of a segment that starts at a record boundary.

    Args:
        data: The chunk.
        last: Whether nothing follows it. If something does, an incomplete record is left to the
            next chunk; otherwise it is damaged or a torn write.
    """
    frames: list[Frame] = []
    damaged = at = 0
    size = len(data)
    view = memoryview(data)
    unpack = _FRAME.unpack_from
    while True:
        # Inlined, because every record passes through here.
        while at + _SMALLEST <= size:
            length, crc = unpack(data, at)
            end = at + FRAME_SIZE + length
            if end > size or length < _HEAD_SIZE or crc32(view[at + FRAME_SIZE : end]) != crc:
                break
            frames.append((at, end))
            at = end
        if frame_end(data, at) > size and not last:
            return Scan(frames, damaged, at)
        start = _next_frame(data, view, at + 1)
        if start is None:
            return Scan(frames, damaged, at)
        damaged += start - at
        at = start


def frame_end(data: bytes, start: int) -> int:
    """Return the end of the record at `start` by its length; beyond the data if incomplete.

    Return `start` itself if the length is impossible.
    """
    if len(data) - start < FRAME_SIZE:
        return len(data) + 1
    length: int = _FRAME.unpack_from(data, start)[0]
    return start + FRAME_SIZE + length if _HEAD_SIZE <= length <= MAX_RECORD else start


def _is_sound(view: memoryview, start: int, end: int) -> bool:
    if end - start < _SMALLEST:
        return False
    expected: int = _FRAME.unpack_from(view, start)[1]
    return crc32(view[start + FRAME_SIZE : end]) == expected


def _next_frame(data: bytes, view: memoryview, start: int) -> int | None:
    for match in _HEAD.finditer(data, start + FRAME_SIZE):
        candidate = match.start() - FRAME_SIZE
        end = frame_end(data, candidate)
        if end <= len(data) and _is_sound(view, candidate, end):
            return candidate
    return None
