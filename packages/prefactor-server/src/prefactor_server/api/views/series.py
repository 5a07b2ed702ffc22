"""The views of series: columns with one entry per bucket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from prefactor_server.domain.series.bucket import BucketName
from prefactor_server.domain.series.series import Durations, ModelLine, TypeLine


class DurationsView(msgspec.Struct, frozen=True, kw_only=True):
    """The number of durations, and their quantiles in milliseconds or null."""

    measured: Sequence[int]
    p50: Sequence[float | None]
    p95: Sequence[float | None]
    p99: Sequence[float | None]


class OverallDurationsView(msgspec.Struct, frozen=True, kw_only=True):
    """The number of durations in the whole range, and their quantiles in milliseconds or null."""

    measured: int
    p50: float | None
    p95: float | None
    p99: float | None


class RunSeriesView(msgspec.Struct, frozen=True, kw_only=True):
    """The ended runs by status, and their durations.

    ``overall`` covers the whole range, because quantiles of buckets cannot be combined.
    """

    complete: Sequence[int]
    failed: Sequence[int]
    cancelled: Sequence[int]
    terminated: Sequence[int]
    durations: DurationsView
    overall: OverallDurationsView


class SpanTypeSeriesView(msgspec.Struct, frozen=True, kw_only=True):
    """The spans of one type, or of ``merged_names`` types if ``schema_name`` is null."""

    schema_name: str | None
    merged_names: int
    spans: Sequence[int]
    failed: Sequence[int]
    durations: DurationsView


class ModelSeriesView(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of one model, or of ``merged_names`` models, and their cost.

    ``model`` is null for several, and for spans with tokens but no model. ``cost`` is at current
    prices, and null without a price table. ``unpriced_spans`` have no price.
    """

    model: str | None
    merged_names: int
    prompt_tokens: Sequence[int]
    completion_tokens: Sequence[int]
    total_tokens: Sequence[int]
    cost: Sequence[float] | None
    unpriced_spans: Sequence[int]


class SeriesView(msgspec.Struct, frozen=True, kw_only=True):
    """The activity of an agent or an account in each bucket of a range.

    A run counts in the bucket in which it ended, a span in the one in which it finished. ``starts``
    are the starts of the buckets, and each column has one entry per bucket. From ``complete_from``
    on, only the last ``behind_seconds`` may be missing. It is null during the backfill of older
    runs after an upgrade.
    """

    type: Literal["series"] = "series"
    account_id: str
    agent_id: str | None
    environment_id: str | None
    bucket: BucketName
    start_time: str
    end_time: str
    complete_from: str | None
    behind_seconds: float
    currency: str | None
    starts: Sequence[str]
    runs: RunSeriesView
    span_types: Sequence[SpanTypeSeriesView]
    models: Sequence[ModelSeriesView]


def durations_view(durations: Durations) -> DurationsView:
    """Return the view of durations."""
    return DurationsView(**durations._asdict())


def overall_view(durations: Durations) -> OverallDurationsView:
    """Return the view of durations in one bucket."""
    return OverallDurationsView(
        measured=durations.measured[0],
        p50=durations.p50[0],
        p95=durations.p95[0],
        p99=durations.p99[0],
    )


def span_type_view(line: TypeLine) -> SpanTypeSeriesView:
    """Return the view of a span type."""
    return SpanTypeSeriesView(
        schema_name=line.schema_name,
        merged_names=line.merged_names,
        spans=line.spans,
        failed=line.failed,
        durations=durations_view(line.durations),
    )


def model_view(line: ModelLine, currency: str | None) -> ModelSeriesView:
    """Return the view of a model."""
    return ModelSeriesView(
        model=line.model,
        merged_names=line.merged_names,
        prompt_tokens=line.prompt_tokens,
        completion_tokens=line.completion_tokens,
        total_tokens=line.total_tokens,
        cost=None if currency is None else line.cost,
        unpriced_spans=line.unpriced_spans,
    )
