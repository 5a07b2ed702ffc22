"""Histograms of durations that can be added up, because percentiles cannot.

Bin n counts the durations above GROWTH ** (n - 1) and up to GROWTH ** n microseconds; a duration of
a microsecond or less is in bin 0. A quantile is reported as the middle of its bin. Its relative
error is at most ERROR, however many histograms were added up.
"""

from __future__ import annotations

import base64
import math
import struct
import sys
from array import array
from binascii import a2b_base64
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import Final

ERROR: Final = 0.02
"""The maximum relative error of a quantile."""

GROWTH: Final = (1 + ERROR) / (1 - ERROR)
MAX_BIN: Final = 1020
"""The last bin, which is beyond the ten thousand years that timestamps cover."""

QUANTILES: Final = (0.5, 0.95, 0.99)
"""The quantiles that are stored with a histogram, to be read without its bins."""

_LOG_GROWTH: Final = math.log(GROWTH)
# Array type codes for numbers of one, two, four and eight bytes.
_CODES: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Histogram:
    """The number of durations in each bin that has any; ``bins`` ascend.

    A series shows thousands of stored histograms by their totals and quantiles alone, so stored
    bins are decoded on demand.
    """

    __slots__ = ("_bins", "_counts", "_stored", "_summary")

    def __init__(self, bins: Sequence[int] = (), counts: Sequence[int] = ()) -> None:
        self._bins = bins
        self._counts = counts
        self._stored: tuple[str, str] | None = None
        self._summary: Sequence[int] = ()

    @classmethod
    def of(cls, durations: Iterable[int]) -> Histogram:
        """Return the histogram of durations in microseconds, none of them negative."""
        return cls.of_bins(Counter(map(bin_of, durations)))

    @classmethod
    def of_bins(cls, counts: Mapping[int, int]) -> Histogram:
        """Return the histogram with these counts by bin."""
        bins = tuple(sorted(counts))
        return cls(bins, tuple(map(counts.__getitem__, bins)))

    @classmethod
    def sum_of(cls, histograms: Iterable[Histogram]) -> Histogram:
        """Return the histogram of the durations of several."""
        counts: dict[int, int] = {}
        for one in histograms:
            _add(counts, one)
        return cls.of_bins(counts)

    def __eq__(self, other: object) -> bool:
        """Return whether two have the same counts."""
        if not isinstance(other, Histogram):
            return NotImplemented
        return (self.bins, self.counts) == (other.bins, other.counts)

    def __hash__(self) -> int:
        """Return the hash of the counts."""
        return hash((self.bins, self.counts))

    @property
    def bins(self) -> Sequence[int]:
        """The bins that have durations."""
        self._decode()
        return self._bins

    @property
    def counts(self) -> Sequence[int]:
        """The number of durations in each of the bins."""
        self._decode()
        return self._counts

    @property
    def total(self) -> int:
        """The number of all durations."""
        return self._summarise()[0]

    def plus(self, other: Histogram) -> Histogram:
        """Return the histogram of the durations of both."""
        if not self.total or not other.total:
            return self if self.total else other
        counts = dict(zip(self.bins, self.counts, strict=True))
        _add(counts, other)
        return self.of_bins(counts)

    def minus(self, other: Histogram) -> Histogram:
        """Return the histogram without the durations of another."""
        if not other.total:
            return self
        counts = Counter(dict(zip(self.bins, self.counts, strict=True)))
        return self.of_bins(counts - Counter(dict(zip(other.bins, other.counts, strict=True))))

    def quantiles(self, shares: Sequence[float] = QUANTILES) -> list[float | None]:
        """Return quantiles in microseconds by nearest rank, each None without durations."""
        if not self.total:
            return [None for _ in shares]
        bins = self._summarise()[1:] if shares is QUANTILES else self._bins_at(shares)
        return [middle_of(number) for number in bins]

    def encode(self) -> tuple[str | int, ...]:
        """Return the stored form: bins and counts in base64, the total, the bins of QUANTILES."""
        if self._stored is None:
            width = next(size for size in _CODES if max(self._counts, default=0) < 256**size)
            self._stored = (_text("H", self._bins), _text(_CODES[width], self._counts))
        return (*self._stored, *self._summarise())

    @classmethod
    def decode(cls, bins: str, counts: str, *summary: int) -> Histogram:
        """Decode the result of ``encode``. Earlier versions stored no summary."""
        histogram = cls()
        histogram._stored = (bins, counts)
        histogram._summary = summary
        # Without a summary, forget the stored form, so that `encode` adds one.
        return histogram if summary else cls(histogram.bins, histogram.counts)

    def _decode(self) -> None:
        if self._stored is not None and not self._bins:
            bins, counts = map(a2b_base64, self._stored)
            self._bins = _numbers("H", bins)
            if bins:
                self._counts = _numbers(_CODES[2 * len(counts) // len(bins)], counts)

    def _summarise(self) -> Sequence[int]:
        if not self._summary:
            total = sum(self.counts)
            self._summary = (total, *(self._bins_at(QUANTILES) if total else ()))
        return self._summary

    def _bins_at(self, shares: Sequence[float]) -> Sequence[int]:
        sums = list(accumulate(self.counts))
        return [
            self.bins[bisect_left(sums, max(1, math.ceil(share * sums[-1])))] for share in shares
        ]


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


def _add(counts: dict[int, int], histogram: Histogram) -> None:
    # A series adds up thousands of histograms, and a Counter would take twice as long.
    known = counts.get
    for number, count in zip(histogram.bins, histogram.counts, strict=True):
        counts[number] = known(number, 0) + count


def _numbers(code: str, packed: bytes) -> tuple[int, ...]:
    # Faster than struct, which would parse a format for each length.
    numbers = array(code, packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return tuple(numbers)


def _text(code: str, numbers: Sequence[int]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}{code}", *numbers)).decode()
