"""Counters and histograms without locks show what those of prometheus-client show."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from prefactor_server.http.unlocked_metrics import UnlockedCounter, UnlockedHistogram

_BOUNDS = (0.001, 1, 2.5)


def _shown(registry: CollectorRegistry) -> list[str]:
    """What is collected, without the times at which metrics were created."""
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if "_created" not in line]


def test_nothing_counted() -> None:
    """Without labels there is a zero before anything is counted, and with labels there is not."""
    ours, locked = CollectorRegistry(), CollectorRegistry()
    for labels in ((), ("kind",)):
        name = f"of_{len(labels)}"
        UnlockedCounter(f"a_{name}", "A.", labels, registry=ours)
        UnlockedHistogram(f"b_{name}", "B.", _BOUNDS, labels, registry=ours)
        Counter(f"a_{name}", "A.", labels, registry=locked)
        Histogram(f"b_{name}", "B.", labels, buckets=_BOUNDS, registry=locked)

    assert sorted(_shown(ours)) == sorted(_shown(locked))


def test_values_are_counted_where_they_belong() -> None:
    """A value on a bound counts for it, one above all bounds for infinity, each with its labels."""
    ours, locked = CollectorRegistry(), CollectorRegistry()
    counter = UnlockedCounter("a", "A.", ("kind", "code"), registry=ours)
    locked_counter = Counter("a", "A.", ("kind", "code"), registry=locked)
    histogram = UnlockedHistogram("b", "B.", _BOUNDS, ("kind",), registry=ours)
    locked_histogram = Histogram("b", "B.", ("kind",), buckets=_BOUNDS, registry=locked)
    for kind, value in (("x", 0.0005), ("x", 0.001), ("y", 1), ("y", 1.5), ("x", 99)):
        counter.add(kind, "200", by=3)
        locked_counter.labels(kind, "200").inc(3)
        histogram.add(value, kind)
        locked_histogram.labels(kind).observe(value)

    assert sorted(_shown(ours)) == sorted(_shown(locked))
