"""Histograms of durations."""

import math

from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.series.histogram import (
    EMPTY,
    ERROR,
    MAX_BIN,
    Histogram,
    bin_of,
    middle_of,
    stored_end,
)

DURATIONS = st.lists(st.integers(0, 10**14), min_size=1, max_size=60)
SHARES = st.floats(0, 1)


@given(durations=DURATIONS, share=SHARES)
def test_a_quantile_is_off_by_at_most_the_error(durations: list[int], share: float) -> None:
    """A quantile is within two per cent of the duration at that rank, or a microsecond."""
    exact = sorted(durations)[max(1, math.ceil(share * len(durations))) - 1]
    (told,) = Histogram.of(durations).quantiles([share])

    assert told is not None
    assert abs(told - exact) <= max(1, exact * ERROR * (1 + 1e-9))


@given(one=DURATIONS, other=DURATIONS)
def test_sums_do_not_depend_on_the_order(one: list[int], other: list[int]) -> None:
    """The sum of two histograms is the histogram of all their durations, in any order."""
    added = Histogram.of(one).plus(Histogram.of(other))

    assert added == Histogram.of(one + other)
    assert added == Histogram.of(other).plus(Histogram.of(one))
    assert added.summary.total == len(one) + len(other)
    assert added == Histogram.sum_of([Histogram.of(one), EMPTY, Histogram.of(other)])


@given(
    counts=st.dictionaries(st.integers(0, MAX_BIN), st.integers(1, 2**40), max_size=60)
    | st.dictionaries(st.integers(300, 320), st.integers(1, 300), max_size=60)
)
def test_a_stored_histogram_reads_back(counts: dict[int, int]) -> None:
    """A stored histogram reads back unchanged, with few or many bins and small or large counts."""
    histogram = Histogram.of_bins(counts)
    stored = histogram.encode()
    read = Histogram.decode(stored, histogram.summary)

    assert read == histogram
    assert read.counts == dict(sorted(counts.items()))
    assert stored_end(b"before" + stored + b"after", 6) == 6 + len(stored)


def test_an_empty_histogram_has_no_quantile() -> None:
    """Without durations the quantile is None, and adding nothing changes nothing."""
    assert EMPTY.quantiles([0.5, 0.99]) == [None, None]
    assert EMPTY.plus(EMPTY) == EMPTY
    assert Histogram.decode(EMPTY.encode(), EMPTY.summary) == EMPTY


def test_the_longest_duration_has_a_bin() -> None:
    """The longest possible duration has a bin and reads back exactly."""
    ten_thousand_years = 10_000 * 366 * 24 * 3600 * 10**6

    assert bin_of(ten_thousand_years) <= MAX_BIN
    assert math.isclose(middle_of(bin_of(ten_thousand_years)), ten_thousand_years, rel_tol=ERROR)
