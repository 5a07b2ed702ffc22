"""Histograms of durations that can be added up, because percentiles cannot.

Bin n holds the durations above GROWTH ** (n - 1) and up to GROWTH ** n microseconds; a duration of
a microsecond or less is in bin 0. A quantile is reported as the middle of its bin. It is off by at
most ERROR of itself, however many histograms were added up.
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
from itertools import accumulate
from typing import Final, NamedTuple

ERROR: Final = 0.02
"""How far a quantile is from the duration that it stands for, as a share of that."""

GROWTH: Final = (1 + ERROR) / (1 - ERROR)
MAX_BIN: Final = 1020
"""The last bin. It is beyond the ten thousand years that two timestamps can be apart."""

_LOG_GROWTH: Final = math.log(GROWTH)


class Histogram(NamedTuple):
    """How many durations there are in each bin that has any; ``bins`` ascend."""

    bins: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()

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
        """Return the histogram of the durations of all."""
        counts: dict[int, int] = {}
        for one in histograms:
            _add(counts, one)
        return cls.of_bins(counts)

    @property
    def total(self) -> int:
        """How many durations it holds."""
        return sum(self.counts)

    def plus(self, other: Histogram) -> Histogram:
        """Return the histogram of the durations of both."""
        if not self.bins or not other.bins:
            return self if self.bins else other
        counts = dict(zip(self.bins, self.counts, strict=True))
        _add(counts, other)
        return self.of_bins(counts)

    def quantiles(self, shares: Sequence[float]) -> list[float | None]:
        """Return quantiles in microseconds, each the nearest rank's; None of no durations."""
        if not self.bins:
            return [None for _ in shares]
        sums = list(accumulate(self.counts))
        return [
            middle_of(self.bins[bisect_left(sums, max(1, math.ceil(share * sums[-1])))])
            for share in shares
        ]

    def encode(self) -> tuple[str, str]:
        """Return the histogram as two texts: bins of two bytes, and counts of eight, in base64."""
        size = len(self.bins)
        return _text(struct.pack(f"<{size}H", *self.bins)), _text(
            struct.pack(f"<{size}Q", *self.counts)
        )

    @classmethod
    def decode(cls, bins: str, counts: str) -> Histogram:
        """Read what ``encode`` wrote."""
        return cls(_numbers("H", bins), _numbers("Q", counts))


EMPTY: Final = Histogram()


def bin_of(duration: int) -> int:
    """Return the bin of a duration in microseconds."""
    if duration <= 1:
        return 0
    return min(math.ceil(math.log(duration) / _LOG_GROWTH), MAX_BIN)


def middle_of(number: int) -> float:
    """Return the duration that is off by the same share from both ends of a bin."""
    return 1.0 if number == 0 else 2 * GROWTH**number / (GROWTH + 1)


def _add(counts: dict[int, int], histogram: Histogram) -> None:
    # A series adds up thousands of histograms. A Counter takes twice as long.
    known = counts.get
    for number, count in zip(histogram.bins, histogram.counts, strict=True):
        counts[number] = known(number, 0) + count


def _numbers(code: str, text: str) -> tuple[int, ...]:
    # A Struct would parse its format for every other length.
    numbers = array(code, a2b_base64(text))
    if sys.byteorder == "big":
        numbers.byteswap()
    return tuple(numbers)


def _text(packed: bytes) -> str:
    return base64.b64encode(packed).decode()
