"""A series: the columns of a chart, computed from rollups, with one entry per bucket."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from functools import cache, reduce
from operator import sub
from typing import Any, Final, NamedTuple, TypeAlias

from prefactor_server.domain.runs.cost import PriceTable, price_of_tokens
from prefactor_server.domain.series.bucket import Range
from prefactor_server.domain.series.figures import (
    OTHERS,
    ModelFigures,
    TypeFigures,
    sum_of,
)
from prefactor_server.domain.series.histogram import Histogram, middle_of
from prefactor_server.domain.series.rollup import Rollup
from prefactor_server.domain.series.stored_figures import (
    NOTHING_SHOWN,
    Entry,
    decode_figures,
    encode_figures,
    is_current,
    model_entry,
    run_durations_of,
    shown_of,
    type_entry,
)
from prefactor_server.domain.times import MILLISECOND_US

MAX_LINES: Final = 50
"""The most lines for span types, and for models. The rest is added up in one line."""

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


_Name: TypeAlias = str | None
_Columns: TypeAlias = Mapping[_Name, Sequence[Entry]]
_NO_SPANS: Final = type_entry(None, TypeFigures())
_NO_TOKENS: Final = model_entry(None, ModelFigures())


class Series:
    """The columns of a range, with one entry per bucket, including empty ones.

    They are read from what is shown of each rollup. Bins are decoded only to add up histograms.
    """

    def __init__(self, requested: Range) -> None:
        self._range = requested
        self._stored: dict[int, bytes] = {}
        self._shown = [NOTHING_SHOWN] * len(requested.starts)

    def add(self, row: Rollup) -> None:
        """Add a rollup. Those of several environments in one bucket are added up."""
        index = (row.start - self._range.start) // self._range.bucket.length
        stored, known = row.figures, self._stored.get(index)
        if known is not None:
            stored = encode_figures(sum_of(map(decode_figures, (known, stored))))
        elif not is_current(stored):
            stored = encode_figures(decode_figures(stored))
        self._stored[index] = stored
        self._shown[index] = shown_of(stored)

    def runs(self, status: str) -> Sequence[int]:
        """Return the number of runs that ended with a status."""
        return [one.runs.get(status, 0) for one in self._shown]

    def run_durations(self) -> Durations:
        """Return the durations of the runs that ended."""
        return _durations(*map(list, zip(*(one.run_durations for one in self._shown), strict=True)))

    def overall_durations(self) -> Durations:
        """Return the durations of the runs of all buckets together, as one bucket."""
        histograms = (run_durations_of(one, self._shown[at]) for at, one in self._stored.items())
        total, *quantiles = Histogram.sum_of(histograms).summary
        return _durations([total], *([number] for number in quantiles))

    def type_lines(self) -> Iterator[TypeLine]:
        """Yield the span types, by descending number of spans."""
        columns = _columns([one.span_types for one in self._shown], _NO_SPANS)
        for name, names in _lines(columns, 1):
            column = columns[name] if len(names) == 1 else self._sum_of_types(set(names))
            _, spans, failed, *durations = map(list, zip(*column, strict=True))
            yield TypeLine(name, len(names), spans, failed, _durations(*durations))

    def model_lines(self, prices: PriceTable) -> Iterator[ModelLine]:
        """Yield the models, by descending number of tokens."""
        columns = _columns([one.models for one in self._shown], _NO_TOKENS)
        for name, names in _lines(columns, len(ModelFigures._fields)):
            known = [one for one in dict.fromkeys(names) if one in columns]
            parts = [_model_columns(one, columns[one], prices) for one in known]
            yield ModelLine(name, len(names), *(parts[0] if len(parts) == 1 else _sums(parts)))

    def _sum_of_types(self, names: Container[_Name]) -> Sequence[Entry]:
        """Return the column of several span types together."""
        column = [_NO_SPANS] * len(self._shown)
        for index, stored in self._stored.items():
            entries = [one for one in self._shown[index].span_types if one[0] in names]
            if len(entries) == 1:
                (column[index],) = entries
            elif entries:
                types = decode_figures(stored).span_types
                parts = (types[name] for name, *_ in entries)
                column[index] = type_entry(None, reduce(TypeFigures.plus, parts))
        return column


def _columns(buckets: Sequence[Sequence[Entry]], nothing: Entry) -> _Columns:
    """Return the entries of each name, one per bucket. An entry begins with its name."""
    columns: dict[_Name, list[Entry]] = {}
    for index, entries in enumerate(buckets):
        for entry in entries:
            column = columns.get(entry[0])
            if column is None:
                column = columns[entry[0]] = [nothing] * len(buckets)
            column[index] = entry
    return columns


def _lines(columns: _Columns, weight: int) -> Iterator[tuple[_Name, Sequence[_Name]]]:
    """Yield each line's name and the names that it adds up, by descending sum of a field."""
    weights = {name: sum(entry[weight] for entry in column) for name, column in columns.items()}
    ranked = sorted(weights, key=lambda name: (name == OTHERS, -weights[name], str(name)))
    named = [name for name in ranked[:MAX_LINES] if name != OTHERS]
    for name in named:
        yield name, [name]
    if rest := ranked[len(named) :]:
        # OTHERS in the list makes the count of names more than one, as it stands for several.
        yield None, rest if len(rest) > 1 else [*rest, OTHERS]


def _model_columns(
    name: _Name, column: Sequence[Entry], prices: PriceTable
) -> Sequence[Sequence[Any]]:
    """Return the columns of one model: its tokens, their cost, and spans without a price."""
    _, counted, split, *tokens = map(list, zip(*column, strict=True))
    price = prices.price_of(name)
    if price is None:
        return (*tokens, [0.0] * len(column), counted)
    used = (ModelFigures._make(figures).use(name) for _, *figures in column)
    costs = [price_of_tokens(one, price) for one in used]
    return (*tokens, costs, list(map(sub, counted, split)))


def _sums(parts: Sequence[Sequence[Sequence[Any]]]) -> Iterator[Sequence[Any]]:
    """Yield columns that add up the columns of several parts."""
    for columns in zip(*parts, strict=True):
        yield list(map(sum, zip(*columns, strict=True)))


def _durations(
    measured: Sequence[int],
    p50: Sequence[int | None],
    p95: Sequence[int | None],
    p99: Sequence[int | None],
) -> Durations:
    """Return columns of durations, given the bins of their quantiles."""
    return Durations(measured, *([*map(_shown_ms, column)] for column in (p50, p95, p99)))


@cache  # Bounded by the number of bins.
def _shown_ms(number: int | None) -> float | None:
    return None if number is None else round(middle_of(number) / MILLISECOND_US, _DIGITS)
