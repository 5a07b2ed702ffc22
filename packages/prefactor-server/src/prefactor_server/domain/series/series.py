"""A series: the columns of a chart, computed from rollups, with one entry per bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar

from prefactor_server.domain.runs.cost import PriceTable, price_of_tokens
from prefactor_server.domain.series.bucket import Range
from prefactor_server.domain.series.figures import (
    NOTHING,
    OTHERS,
    Figures,
    ModelFigures,
    TypeFigures,
    decode_figures,
)
from prefactor_server.domain.series.histogram import Histogram
from prefactor_server.domain.series.rollup import Rollup

V = TypeVar("V")

MAX_LINES: Final = 50
"""The most lines for span types, and for models. The rest is added up in one line."""

_MILLISECOND_US: Final = 1000
_DIGITS: Final = 3


class Durations(NamedTuple):
    """Columns of durations in milliseconds, None in a bucket without any."""

    measured: Sequence[int]
    """The number of durations that the quantiles are computed from."""
    p50: Sequence[float | None]
    p95: Sequence[float | None]
    p99: Sequence[float | None]


class TypeLine(NamedTuple):
    """The columns of one span type, or the sum of several without a name."""

    schema_name: str | None
    merged_names: int
    spans: Sequence[int]
    failed: Sequence[int]
    durations: Durations


class ModelLine(NamedTuple):
    """The columns of one model, or the sum of several without a name.

    ``cost`` covers the tokens that have a price. ``unpriced_spans`` counts spans without one.
    """

    model: str | None
    merged_names: int
    prompt_tokens: Sequence[int]
    completion_tokens: Sequence[int]
    total_tokens: Sequence[int]
    cost: Sequence[float]
    unpriced_spans: Sequence[int]


class Buckets:
    """The figures of every bucket of a range. Rollups of several environments are added up."""

    def __init__(self, requested: Range) -> None:
        self._range = requested
        self._by_start: dict[int, Figures] = {}

    def add(self, row: Rollup) -> None:
        """Add a rollup."""
        figures = decode_figures(row.figures)
        known = self._by_start.get(row.start)
        self._by_start[row.start] = figures if known is None else known.plus(figures)

    def figures(self) -> Sequence[Figures]:
        """Return the figures of each bucket, including empty ones."""
        return [self._by_start.get(start, NOTHING) for start in self._range.starts]


def runs_by_status(buckets: Sequence[Figures], status: str) -> Sequence[int]:
    """Return the number of runs that ended with a status, for each bucket."""
    return [one.runs.get(status, 0) for one in buckets]


def run_durations(buckets: Sequence[Figures]) -> Durations:
    """Return the durations of the runs that ended, for each bucket."""
    return _durations([one.run_durations for one in buckets])


def overall_durations(buckets: Sequence[Figures]) -> Durations:
    """Return the durations of the runs of all buckets together, as one bucket."""
    return _durations([Histogram.sum_of(one.run_durations for one in buckets)])


def type_lines(buckets: Sequence[Figures]) -> Iterator[TypeLine]:
    """Yield the span types, by descending number of spans."""
    columns = [one.span_types for one in buckets]
    for name, names in _lines(columns, lambda figures: figures.spans):
        column = [_sum(one, names, TypeFigures(), TypeFigures.plus) for one in columns]
        yield TypeLine(
            name,
            len(names),
            [one.spans for one in column],
            [one.failed for one in column],
            _durations([one.durations for one in column]),
        )


def model_lines(buckets: Sequence[Figures], prices: PriceTable) -> Iterator[ModelLine]:
    """Yield the models, by descending number of tokens."""
    columns = [one.models for one in buckets]
    for name, names in _lines(columns, lambda figures: figures.total_tokens):
        column = [_sum(one, names, ModelFigures(), ModelFigures.plus) for one in columns]
        costs = [_cost(one, names, prices) for one in columns]
        yield ModelLine(
            name,
            len(names),
            [one.prompt_tokens for one in column],
            [one.completion_tokens for one in column],
            [one.total_tokens for one in column],
            [cost for cost, _ in costs],
            [unpriced for _, unpriced in costs],
        )


def _lines(
    columns: Iterable[Mapping[Any, V]], weight: Callable[[V], int]
) -> Iterator[tuple[str | None, Sequence[str | None]]]:
    """Yield each line's name and the names that it adds up, by descending weight."""
    weights: dict[str | None, int] = {}
    for column in columns:
        for name, value in column.items():
            weights[name] = weights.get(name, 0) + weight(value)
    ranked = sorted(weights, key=lambda name: (name == OTHERS, -weights[name], str(name)))
    named = [name for name in ranked[:MAX_LINES] if name != OTHERS]
    for name in named:
        yield name, [name]
    if rest := ranked[len(named) :]:
        # OTHERS in the list makes the count of names more than one, as it stands for several.
        yield None, rest if len(rest) > 1 else [*rest, OTHERS]


def _sum(
    figures: Mapping[Any, V], names: Sequence[str | None], nothing: V, plus: Callable[[V, V], V]
) -> V:
    if len(names) == 1:
        return figures.get(names[0], nothing)
    total = nothing
    for name in dict.fromkeys(names):
        if name in figures:
            total = plus(total, figures[name])
    return total


def _cost(
    figures: Mapping[str | None, ModelFigures], names: Sequence[str | None], prices: PriceTable
) -> tuple[float, int]:
    """Return the cost of the tokens of some models, and the number of spans without a price."""
    cost, unpriced = 0.0, 0
    for name in dict.fromkeys(names):
        used = figures.get(name)
        if used is None:
            continue
        price = prices.price_of(name)
        if price is None:
            unpriced += used.counted_spans
        else:
            cost += price_of_tokens(used.use(name), price)
            unpriced += used.counted_spans - used.split_spans
    return cost, unpriced


def _durations(column: Sequence[Histogram]) -> Durations:
    quantiles = [[_shown(us) for us in one.quantiles()] for one in column]
    p50, p95, p99 = zip(*quantiles, strict=True)
    return Durations([one.total for one in column], p50, p95, p99)


@cache  # Bounded by the number of bins.
def _shown(us: float | None) -> float | None:
    return None if us is None else round(us / _MILLISECOND_US, _DIGITS)
