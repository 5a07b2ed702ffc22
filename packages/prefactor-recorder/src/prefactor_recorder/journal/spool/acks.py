"""Which records of a segment are settled: the file beside it, as pure functions.

An ack is one range of the segment's bytes: `start u64 | end u64 | crc32 u32`, little-endian. A
range whose CRC is wrong is passed over: its records are then delivered once more, under the same
keys. Nothing that happens to this file can make a record be forgotten.
"""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable

    Range = tuple[int, int]

_RANGE = Struct("<QQ")
_CRC = Struct("<I")
ACK_SIZE = _RANGE.size + _CRC.size
"""Bytes of one range."""


def coalesce(ranges: Iterable[Range]) -> list[Range]:
    """The same bytes as few ranges, in order."""
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def encode_acks(ranges: Iterable[Range]) -> bytes:
    """Ranges as they are appended to the file."""
    return b"".join(
        packed + _CRC.pack(crc32(packed)) for packed in (_RANGE.pack(*r) for r in ranges)
    )


def decode_acks(data: bytes) -> Settled:
    """The ranges that can be trusted."""
    found: list[Range] = []
    for at in range(0, len(data) - ACK_SIZE + 1, ACK_SIZE):
        (crc,) = _CRC.unpack_from(data, at + _RANGE.size)
        if crc32(data[at : at + _RANGE.size]) == crc:
            found.append(_RANGE.unpack_from(data, at))
    return Settled(found)


class Settled:
    """Ranges of a segment that need not be delivered any more."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        """Take ranges in any order."""
        self._ranges = coalesce(ranges)

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def covers(self, start: int, end: int) -> bool:
        """Whether all of a record's bytes are settled."""
        at = bisect_right(self._ranges, (start, end))
        # The range that begins at or before `start` is this one or the one to its left.
        return any(
            low <= start and end <= high for low, high in self._ranges[max(at - 1, 0) : at + 1]
        )
