"""Which bytes of a segment are records: pure, and not put off by damage.

A segment is records one after the other and nothing else, so in a sound file each record's length
leads to the next. Where the length or the CRC is wrong, the next record is looked for byte by byte.
That finds no record inside another one: in front of every record stand bytes below 0x20, which
JSON never contains.
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

# What stands behind the frame of a record: an operation and two lengths. A look-ahead, because
# candidates may overlap. The regular expression walks through damage at the speed of C, and leaves
# so few candidates that trying the CRC of each does not take quadratic time.
_HEAD = re.compile(
    b"(?=[%b][\x00-%c][\x00-%c])"
    % (re.escape(bytes(int(operation) for operation in Operation)), MAX_ID, MAX_ID),
    re.DOTALL,
)


Frame = tuple[int, int]
"""Where a record with a right CRC begins and ends in the bytes that were scanned."""


class Scan(NamedTuple):
    """What was found in a piece of a segment."""

    frames: list[Frame]
    """The records, in order."""
    damaged: int
    """Bytes between them that belong to none."""
    rest: int
    """Where the bytes begin that could not be judged, or are the end of nothing."""

    def up_to(self, limit: int) -> Scan:
        """The same with about so many bytes of records, and the rest left for later."""
        taken = 0
        for index, (start, end) in enumerate(self.frames[:-1], 1):
            taken += end - start
            if taken >= limit:
                rest = self.frames[index][0]
                return Scan(self.frames[:index], rest - taken, rest)
        return self


def scan(data: bytes, *, last: bool) -> Scan:
    """Find the records in a piece of a segment that begins where a record ought to.

    Args:
        data: The piece.
        last: Whether nothing follows it. If something does, a record that is not wholly here is
            left to the next piece; otherwise it is damaged, or a torn end.
    """
    frames: list[Frame] = []
    damaged = at = 0
    size = len(data)
    view = memoryview(data)
    unpack = _FRAME.unpack_from
    while True:
        # Written out, because this is what every record passes through on its way.
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
    """Where the record that begins here ends by its own word; beyond the data if it is not whole.

    A length that no record can have makes it end where it starts.
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
