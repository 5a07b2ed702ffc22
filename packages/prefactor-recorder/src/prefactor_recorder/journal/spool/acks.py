"""The format of ack files, which say which records of a segment are delivered. Pure.

An ack is a range of the segment's bytes: `start u64 | end u64 | crc32 u32`, little-endian. A range
with a wrong CRC is skipped, so its records are delivered again under the same keys. Damage to an
ack file never loses a record.
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


def merge_ranges(ranges: Iterable[Range]) -> list[Range]:
    """Merge overlapping and adjacent ranges, in order."""
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def encode_acks(ranges: Iterable[Range]) -> bytes:
    """Encode ranges for appending to the file."""
    return b"".join(
        packed + _CRC.pack(crc32(packed)) for packed in (_RANGE.pack(*r) for r in ranges)
    )


def decode_acks(data: bytes) -> AckedRanges:
    """Decode the ranges whose CRC matches."""
    found: list[Range] = []
    for at in range(0, len(data) - ACK_SIZE + 1, ACK_SIZE):
        (crc,) = _CRC.unpack_from(data, at + _RANGE.size)
        if crc32(data[at : at + _RANGE.size]) == crc:
            found.append(_RANGE.unpack_from(data, at))
    return AckedRanges(found)


class AckedRanges:
    """Ranges of a segment that are already delivered."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        """Create from ranges in any order."""
        self._ranges = merge_ranges(ranges)

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def covers(self, start: int, end: int) -> bool:
        """Return whether all bytes of a record are acked."""
        at = bisect_right(self._ranges, (start, end))
        # The range that starts at or before `start` is this one or its predecessor.
        return any(
            low <= start and end <= high for low, high in self._ranges[max(at - 1, 0) : at + 1]
        )
