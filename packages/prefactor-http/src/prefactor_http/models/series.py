"""Series: what an agent, or an account, did over time, in columns with an entry for each bucket."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from prefactor_http.models.base import ReplyModel


class SeriesDurations(ReplyModel):
    """Durations in milliseconds. Quantiles are within 2 %, and None in a bucket without any."""

    measured: list[int]
    """How many durations the quantiles are of."""
    p50: list[float | None]
    p95: list[float | None]
    p99: list[float | None]


class OverallDurations(ReplyModel):
    """Durations of a whole range in milliseconds; quantiles are None if nothing was measured."""

    measured: int
    """How many durations the quantiles are of."""
    p50: float | None
    p95: float | None
    p99: float | None


class RunSeries(ReplyModel):
    """How many runs ended, by how they ended, and how long they took."""

    complete: list[int]
    failed: list[int]
    cancelled: list[int]
    terminated: list[int]
    durations: SeriesDurations
    overall: OverallDurations | None = None
    """All buckets together, because quantiles of buckets do not add up. None on older servers."""


class SpanTypeSeries(ReplyModel):
    """The spans of one type, or of several that are added up."""

    schema_name: str | None
    """None for several types."""
    merged_names: int = 1
    """How many types are added up."""
    spans: list[int]
    failed: list[int]
    durations: SeriesDurations


class ModelSeries(ReplyModel):
    """The tokens of one model, or of several that are added up, and what they cost."""

    model: str | None
    """None for several models, and for spans that tell of tokens and of no model."""
    merged_names: int = 1
    """How many models are added up."""
    prompt_tokens: list[int]
    completion_tokens: list[int]
    total_tokens: list[int]
    cost: list[float] | None = None
    """By the server's prices of now; None if it has none."""
    unpriced_spans: list[int]
    """How many spans the cost leaves out."""


class Series(ReplyModel):
    """What an agent, or an account, did in each bucket of a range.

    A run is in the bucket in which it ended, a span in that in which it finished.
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
    """From here on nothing is missing but what the last `behind_seconds` brought.

    None while the server fills in what was stored before it was upgraded.
    """
    behind_seconds: float = 0
    currency: str | None = None
    starts: list[datetime]
    """When each bucket begins, in UTC."""
    runs: RunSeries
    span_types: list[SpanTypeSeries]
    """Those with the most spans first."""
    models: list[ModelSeries]
    """Those with the most tokens first."""
