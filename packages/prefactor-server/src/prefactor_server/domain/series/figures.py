"""The figures of one bucket: runs that ended, spans that finished, and tokens.

A run is counted in the bucket in which it ended, and a span in the one in which it finished, by the
times that their agent sent. All figures can be added up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, Final, NamedTuple, TypeVar

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.cost import TokenUse
from prefactor_server.domain.series.histogram import EMPTY, Histogram, bin_of

K = TypeVar("K")
V = TypeVar("V")

MAX_NAMES: Final = 100
"""The most span types, and models, of a bucket. The rest is added up as OTHERS."""

OTHERS: Final = ""
"""The name of the rest. No span type or model can have it."""

ENDED: Final = ("complete", "failed", "cancelled", "terminated")


class FinishedSpan(NamedTuple):
    """The figures of a span that has finished."""

    id: str
    account_id: str
    agent_id: str
    environment_id: str
    agent_instance_id: str
    schema_name: str
    status: str
    started_at: int | None
    finished_at: int
    flags: int
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    model: str | None


class TypeFigures(NamedTuple):
    """The spans of one type. ``durations`` excludes spans that end before they start."""

    spans: int = 0
    failed: int = 0
    durations: Histogram = EMPTY

    def plus(self, other: TypeFigures) -> TypeFigures:
        """Return the sum of two."""
        return TypeFigures(
            self.spans + other.spans,
            self.failed + other.failed,
            self.durations.plus(other.durations),
        )


class ModelFigures(NamedTuple):
    """The spans of one model with tokens, ``split_spans`` of them with input and output."""

    counted_spans: int = 0
    split_spans: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0

    def plus(self, other: ModelFigures) -> ModelFigures:
        """Return the sum of two."""
        return ModelFigures(*(one + another for one, another in zip(self, other, strict=True)))

    def use(self, model: str | None) -> TokenUse:
        """Return the tokens to price."""
        return TokenUse(
            model,
            self.counted_spans,
            self.counted_spans,
            self.split_spans,
            self.prompt_tokens,
            self.completion_tokens,
        )


class Figures(NamedTuple):
    """The figures of a bucket: runs by status, spans by type, tokens by model.

    Spans with tokens but without a model are under None.
    """

    runs: Mapping[str, int] = {}
    run_durations: Histogram = EMPTY
    span_types: Mapping[str, TypeFigures] = {}
    models: Mapping[str | None, ModelFigures] = {}

    def plus(self, other: Figures) -> Figures:
        """Return the sum of two, with at most MAX_NAMES names of each kind."""
        return Figures(
            _added(self.runs, other.runs, 0, int.__add__),
            self.run_durations.plus(other.run_durations),
            _bounded(_added(self.span_types, other.span_types, TypeFigures(), TypeFigures.plus)),
            _bounded(_added(self.models, other.models, ModelFigures(), ModelFigures.plus)),
        )

    def without_runs_of(self, other: Figures) -> Figures:
        """Return the figures without the runs of others."""
        runs = Counter(dict(self.runs)) - Counter(dict(other.runs))
        return self._replace(
            runs=dict(runs), run_durations=self.run_durations.minus(other.run_durations)
        )


NOTHING: Final = Figures()


def sum_of(figures: Iterable[Figures]) -> Figures:
    """Return the sum of any number of figures."""
    return reduce(Figures.plus, figures, NOTHING)


class Tally:
    """Counts runs and spans, one at a time. It must be cheap, because every span is counted."""

    __slots__ = ("_models", "_run_bins", "_runs", "_types")

    def __init__(self) -> None:
        self._runs: Counter[str] = Counter()
        self._run_bins: Counter[int] = Counter()
        self._types: dict[str, _TypeTally] = {}
        self._models: dict[str | None, list[int]] = {}

    def add_run(self, run: AgentInstance) -> None:
        """Count a run that has ended."""
        self._runs[run.status] += 1
        started_at, finished_at = run.started_at, run.finished_at
        if started_at is not None and finished_at is not None and finished_at >= started_at:
            self._run_bins[bin_of(finished_at - started_at)] += 1

    def add_span(self, span: FinishedSpan) -> None:
        """Count a span that has finished."""
        of_type = self._types.get(span.schema_name)
        if of_type is None:
            of_type = self._types[span.schema_name] = _TypeTally()
        of_type.spans += 1
        if span.status == "failed":
            of_type.failed += 1
        started_at = span.started_at
        if started_at is not None and span.finished_at >= started_at:
            of_type.bins[bin_of(span.finished_at - started_at)] += 1
        self._add_tokens(span)

    def _add_tokens(self, span: FinishedSpan) -> None:
        prompt, completion, total = span.prompt_tokens, span.completion_tokens, span.total_tokens
        split = prompt is not None or completion is not None
        if not split and total is None:
            return
        known = self._models.get(span.model) or [0] * len(ModelFigures._fields)
        counted = (prompt or 0) + (completion or 0) if total is None else total
        more = (1, int(split), prompt or 0, completion or 0, counted)
        self._models[span.model] = [one + other for one, other in zip(known, more, strict=True)]

    def figures(self) -> Figures:
        """Return the counted figures."""
        return Figures(
            dict(self._runs),
            Histogram.of_bins(self._run_bins),
            _bounded(
                {
                    name: TypeFigures(one.spans, one.failed, Histogram.of_bins(one.bins))
                    for name, one in self._types.items()
                }
            ),
            _bounded({name: ModelFigures(*one) for name, one in self._models.items()}),
        )


class _TypeTally:
    """The spans of one type."""

    __slots__ = ("bins", "failed", "spans")

    def __init__(self) -> None:
        self.spans = 0
        self.failed = 0
        self.bins: Counter[int] = Counter()


def _added(one: Mapping[K, V], other: Mapping[K, V], nothing: V, plus: Any) -> dict[K, V]:
    added = dict(one)
    for key, value in other.items():
        added[key] = plus(added.get(key, nothing), value)
    return added


def _bounded(named: dict[K, V]) -> dict[K, V]:
    """Add up the names beyond MAX_NAMES under OTHERS."""
    if len(named) <= MAX_NAMES:
        return named
    bounded: dict[Any, Any] = dict(list(named.items())[:MAX_NAMES])
    rest = [value for key, value in named.items() if key not in bounded]
    for value in rest:
        bounded[OTHERS] = value if OTHERS not in bounded else bounded[OTHERS].plus(value)
    return bounded
