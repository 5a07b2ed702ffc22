"""Series: the activity of an agent or account over time, in columns with one entry per bucket."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from prefactor_http.models.base import ReplyModel


class SeriesDurations(ReplyModel):
    """Durations in milliseconds. Quantiles are within 2 %, and None in an empty bucket."""

    measured: list[int]
    """The number of durations."""
    p50: list[float | None]
    p95: list[float | None]
    p99: list[float | None]


class OverallDurations(ReplyModel):
    """Durations of a whole range in milliseconds; quantiles are None if nothing was measured."""

    measured: int
    """The number of durations."""
    p50: float | None
    p95: float | None
    p99: float | None


class RunSeries(ReplyModel):
    """The number of ended runs by status, and their durations."""

    complete: list[int]
    failed: list[int]
    cancelled: list[int]
    terminated: list[int]
    durations: SeriesDurations
    overall: OverallDurations | None = None
    """All buckets together, because quantiles of buckets cannot be added. None on older servers."""


class SpanTypeSeries(ReplyModel):
    """The spans of one type, or of several types added up."""

    schema_name: str | None
    """None for several types."""
    merged_names: int = 1
    """The number of added types."""
    spans: list[int]
    failed: list[int]
    durations: SeriesDurations


class ModelSeries(ReplyModel):
    """The tokens of one model, or of several models added up, and their cost."""

    model: str | None
    """None for several models, and for spans with tokens but no model."""
    merged_names: int = 1
    """The number of added models."""
    prompt_tokens: list[int]
    completion_tokens: list[int]
    total_tokens: list[int]
    cost: list[float] | None = None
    """At current prices; None without prices."""
    unpriced_spans: list[int]
    """The number of spans that the cost excludes."""


class Series(ReplyModel):
    """The activity of an agent or account in each bucket of a range.

    A run counts in the bucket in which it ended, a span in the one in which it finished.
    """

    type: Literal["series"]
    account_id: str
    agent_id: str | None = None
    """None for the series of an account."""
    environment_id: str | None = None
    """None for all environments together."""
    bucket: str
    start_time: datetime
    end_time: datetime
    complete_from: datetime | None = None
    """From this time on, only changes of the last `behind_seconds` may be missing.

    None during the backfill of older runs after an upgrade.
    """
    behind_seconds: float = 0
    currency: str | None = None
    starts: list[datetime]
    """The start of each bucket, in UTC."""
    runs: RunSeries
    span_types: list[SpanTypeSeries]
    """Types with the most spans first."""
    models: list[ModelSeries]
    """Models with the most tokens first."""
