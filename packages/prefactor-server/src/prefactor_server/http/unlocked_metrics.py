"""Counters and histograms that only the event loop uses.

Those of prometheus-client are for any thread: each addition takes a lock and several calls.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


class UnlockedCounter(Collector):
    """A counter for each combination of values of ``labels``, or a single one without labels."""

    def __init__(
        self, name: str, about: str, labels: Sequence[str] = (), *, registry: CollectorRegistry
    ) -> None:
        self._described = name, about, labels
        self._counts: dict[tuple[str, ...], int] = {} if labels else {(): 0}
        registry.register(self)

    def add(self, *labels: str, by: int = 1) -> None:
        """Count something."""
        self._counts[labels] = self._counts.get(labels, 0) + by

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return the counters."""
        name, about, labels = self._described
        family = CounterMetricFamily(name, about, labels=labels)
        for values, count in self._counts.items():
            family.add_metric(values, count)
        yield family


class UnlockedHistogram(Collector):
    """A histogram for each combination of values of ``labels``, or a single one without labels."""

    def __init__(
        self,
        name: str,
        about: str,
        bounds: Sequence[float],
        labels: Sequence[str] = (),
        *,
        registry: CollectorRegistry,
    ) -> None:
        self._described = name, about, labels
        self._bounds = bounds
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        if not labels:
            self._begin(())
        registry.register(self)

    def add(self, value: float, *labels: str) -> None:
        """Count a value."""
        counts = self._counts.get(labels) or self._begin(labels)
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[labels] += value

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return the histograms."""
        name, about, labels = self._described
        family = HistogramMetricFamily(name, about, labels=labels)
        bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for values, counts in self._counts.items():
            up_to = list(zip(bounds, accumulate(counts), strict=True))
            family.add_metric(values, up_to, self._sums[values])
        yield family

    def _begin(self, labels: tuple[str, ...]) -> list[int]:
        self._sums[labels] = 0.0
        counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
        return counts
