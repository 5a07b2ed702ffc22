"""Histograms of durations that can be added up, because percentiles cannot.

Bin n counts the durations above GROWTH ** (n - 1) and up to GROWTH ** n microseconds; a duration of
a microsecond or less is in bin 0. A quantile is reported as the middle of its bin. Its relative
error is at most ERROR, however many histograms were added up.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import Final, NamedTuple

ERROR: Final = 0.02
"""The maximum relative error of a quantile."""

GROWTH: Final = (1 + ERROR) / (1 - ERROR)
MAX_BIN: Final = 1020
"""The last bin, which is beyond the ten thousand years that timestamps cover."""

QUANTILES: Final = (0.5, 0.95, 0.99)
"""The quantiles that are stored with a histogram, to be read without its bins."""

_LOG_GROWTH: Final = math.log(GROWTH)
# The bytes and bits of a bin's count in memory.
_BYTES: Final = 8
_BITS: Final = 8 * _BYTES
# A stored histogram begins with the bytes of a count, the number of counts, and the first bin. The
# counts of consecutive bins follow, or the numbers of bins and their counts.
_HEAD: Final = struct.Struct("<BHH")
_SEPARATE: Final = 0x10
_WIDTHS: Final = (1, 2, 4, 8)


class Summary(NamedTuple):
    """The number of durations, and the bins of QUANTILES, None without durations."""

    total: int = 0
    p50: int | None = None
    p95: int | None = None
    p99: int | None = None


class Histogram:
    """The number of durations in each bin.

    All counts are in one integer, with 64 bits for each bin, because integers of any length are
    added up at once. Stored bins are decoded on demand.
    """

    __slots__ = ("_packed", "_stored", "_summary")

    def __init__(self, packed: int = 0) -> None:
        self._packed = packed
        self._stored: bytes | None = None
        self._summary: Summary | None = None

    @classmethod
    def of(cls, durations: Iterable[int]) -> Histogram:
        """Return the histogram of durations in microseconds, none of them negative."""
        return cls.of_bins(Counter(map(bin_of, durations)))

    @classmethod
    def of_bins(cls, counts: Mapping[int, int]) -> Histogram:
        """Return the histogram with these counts by bin."""
        if not counts:
            return cls()
        first = min(counts)
        column = array("Q", bytes(_BYTES * (max(counts) - first + 1)))
        for number, count in counts.items():
            column[number - first] = count
        return cls(_pack(first, _little(column).tobytes()))

    @classmethod
    def sum_of(cls, histograms: Iterable[Histogram]) -> Histogram:
        """Return the histogram of the durations of several."""
        return cls(sum(one.packed for one in histograms))

    def __eq__(self, other: object) -> bool:
        """Return whether two have the same counts."""
        return isinstance(other, Histogram) and self.packed == other.packed

    def __hash__(self) -> int:
        """Return the hash of the counts."""
        return hash(self.packed)

    @property
    def packed(self) -> int:
        """The counts of all bins, 64 bits for each."""
        if self._stored is not None and not self._packed:
            self._packed = _decode(self._stored)
        return self._packed

    @property
    def counts(self) -> Mapping[int, int]:
        """The counts of the bins that have durations."""
        first, column = self._column()
        return {first + at: count for at, count in enumerate(column) if count}

    @property
    def summary(self) -> Summary:
        """The number of all durations, and the bins of their quantiles."""
        if self._summary is None:
            self._summary = Summary()
            if self.packed:
                first, sums = self._sums()
                self._summary = Summary(sums[-1], *_ranked(first, sums, QUANTILES))
        return self._summary

    def plus(self, other: Histogram) -> Histogram:
        """Return the histogram of the durations of both."""
        if not self.summary.total or not other.summary.total:
            return self if self.summary.total else other
        return Histogram(self.packed + other.packed)

    def minus(self, other: Histogram) -> Histogram:
        """Return the histogram without the durations of another."""
        if not other.packed:
            return self
        return self.of_bins(Counter(self.counts) - Counter(other.counts))

    def quantiles(self, shares: Sequence[float] = QUANTILES) -> list[float | None]:
        """Return quantiles in microseconds by nearest rank, each None without durations."""
        if not self.packed:
            return [None for _ in shares]
        return [middle_of(number) for number in _ranked(*self._sums(), shares)]

    def encode(self) -> bytes:
        """Return the stored form, the shorter of two, with counts as narrow as they fit."""
        if self._stored is None:
            first, column = self._column()
            width = next(size for size in _WIDTHS if max(column, default=0) < 256**size)
            bins = [first + at for at, count in enumerate(column) if count]
            if len(bins) * (width + 2) < len(column) * width:
                head = _HEAD.pack(width | _SEPARATE, len(bins), 0)
                counts = array("Q", filter(None, column))
                body = _little(array("H", bins)).tobytes() + _narrowed(counts, width)
            else:
                head, body = _HEAD.pack(width, len(column), first), _narrowed(column, width)
            self._stored = head + body
        return self._stored

    @classmethod
    def decode(cls, stored: bytes, summary: Summary) -> Histogram:
        """Decode the result of ``encode``, given the summary that is stored beside it."""
        histogram = cls()
        histogram._stored = stored
        histogram._summary = summary
        return histogram

    def _column(self) -> tuple[int, array[int]]:
        """Return the first bin with durations, and the counts from it to the last one."""
        packed = self.packed
        if not packed:
            return 0, array("Q")
        first = ((packed & -packed).bit_length() - 1) // _BITS
        number = (packed.bit_length() - 1) // _BITS + 1 - first
        counts = (packed >> first * _BITS).to_bytes(number * _BYTES, "little")
        return first, _little(array("Q", counts))

    def _sums(self) -> tuple[int, Sequence[int]]:
        """Return the first bin with durations, and the numbers of durations up to each bin."""
        first, column = self._column()
        return first, list(accumulate(column))


EMPTY: Final = Histogram()


def bin_of(duration: int) -> int:
    """Return the bin of a duration in microseconds."""
    if duration <= 1:
        return 0
    return min(math.ceil(math.log(duration) / _LOG_GROWTH), MAX_BIN)


@cache
def middle_of(number: int) -> float:
    """Return the duration whose relative distance from both ends of a bin is the same."""
    return 1.0 if number == 0 else 2 * GROWTH**number / (GROWTH + 1)


def stored_end(stored: bytes, start: int) -> int:
    """Return the end of the stored histogram that starts at a place."""
    form, number, _ = _HEAD.unpack_from(stored, start)
    size: int = form + 2 - _SEPARATE if form & _SEPARATE else form
    end: int = start + _HEAD.size + number * size
    return end


def _decode(stored: bytes) -> int:
    form, number, first = _HEAD.unpack_from(stored)
    if not form & _SEPARATE:
        return _pack(first, _widened(stored[_HEAD.size :], form))
    counts_at = _HEAD.size + 2 * number
    bins = _little(array("H", stored[_HEAD.size : counts_at]))
    counts = _little(array("Q", _widened(stored[counts_at:], form - _SEPARATE)))
    return Histogram.of_bins(dict(zip(bins, counts, strict=True))).packed


def _pack(first: int, counts: bytes) -> int:
    return int.from_bytes(counts, "little") << first * _BITS


def _ranked(first: int, sums: Sequence[int], shares: Sequence[float]) -> list[int]:
    """Return the bin of each share of the durations, by nearest rank."""
    ranks = (max(1, math.ceil(share * sums[-1])) for share in shares)
    return [first + bisect_left(sums, rank) for rank in ranks]


def _narrowed(counts: array[int], width: int) -> bytes:
    """Return counts of 64 bits with the lowest ``width`` bytes of each."""
    wide, narrow = _little(counts).tobytes(), bytearray(width * len(counts))
    for at in range(width):
        narrow[at::width] = wide[at::_BYTES]
    return bytes(narrow)


def _widened(narrow: bytes, width: int) -> bytes:
    """Return counts of ``width`` bytes with 64 bits each."""
    wide = bytearray(len(narrow) // width * _BYTES)
    for at in range(width):
        wide[at::_BYTES] = narrow[at::width]
    return bytes(wide)


def _little(numbers: array[int]) -> array[int]:
    """Return little-endian numbers in the machine's order, or the other way round."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
