"""Series: the activity of an agent or an account over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from prefactor_server.api.kernel import query
from prefactor_server.api.kernel.operation import Call, Parameter, Read
from prefactor_server.api.views.base import Success, show_optional_time, show_time
from prefactor_server.api.views.series import (
    RunSeriesView,
    SeriesView,
    durations_view,
    model_view,
    overall_view,
    span_type_view,
)
from prefactor_server.domain.errors import NotFound, ValidationFailed
from prefactor_server.domain.series.bucket import (
    BUCKET_NAMES,
    BY_NAME,
    MAX_BUCKETS,
    Bucket,
    Range,
    read_range,
)
from prefactor_server.domain.series.figures import ENDED
from prefactor_server.domain.series.rollup import ALL_AGENTS
from prefactor_server.domain.series.series import Series

_DEFAULT: Final = "hour"
# The approximate size of one decoded entry of a column.
_ENTRY_BYTES: Final = 16
_COLUMNS: Final = 8
_TIME: Final = {"type": "string", "format": "date-time"}
_PARAMETERS: Final = (
    Parameter(
        "bucket",
        "The length of a bucket. Minutes are kept for 7 days, hours for 90, days forever.",
        schema={"enum": list(BUCKET_NAMES), "default": _DEFAULT},
    ),
    Parameter(
        "start_time",
        "A time in the first bucket; by default 180 minutes, 168 hours or 90 days ago.",
        schema=_TIME,
    ),
    Parameter("end_time", "The end of the last bucket; now by default.", schema=_TIME),
    Parameter("environment_id", "The environment; all environments by default."),
)
_DESCRIPTION: Final = (
    "For each bucket of a range: ended runs by status, durations of runs, durations and failures "
    "by span type, and tokens and cost by model. Buckets are in UTC, and there are at most "
    f"{MAX_BUCKETS}. A run counts when it ends and a span when it finishes, even if they are "
    "deleted later. Quantiles are within 2 %."
)


async def _agent(call: Call) -> Success[SeriesView]:
    record = await call.services.reader.agents.show(call.principal, call.path_id)
    return await _answer(call, record.agent.id)


async def _account(call: Call) -> Success[SeriesView]:
    await call.services.reader.accounts.show(call.principal, call.path_id)
    return await _answer(call, ALL_AGENTS)


async def _answer(call: Call, agent_id: str) -> Success[SeriesView]:
    reader, principal = call.services.reader.series, call.principal
    range_ = _range(call)
    environment_id = principal.environment_id or call.query.get("environment_id")
    # Read before the rollups, so that they are at least as fresh as reported.
    progress = await reader.progress(principal, call.now)
    series = Series(range_)
    rows = await reader.rollups(principal, agent_id, environment_id, range_)
    call.memory.take(sum(len(row.figures) for row in rows))
    for row in rows:
        await call.work.pause()
        series.add(row)
    currency = call.services.prices.currency
    return Success(
        details=SeriesView(
            account_id=principal.account_id,
            agent_id=agent_id or None,
            environment_id=environment_id,
            bucket=range_.bucket.name,
            start_time=show_time(range_.start),
            end_time=show_time(range_.end),
            complete_from=show_optional_time(progress.complete_from),
            behind_seconds=progress.behind_seconds,
            currency=currency,
            starts=[show_time(start) for start in range_.starts],
            runs=_runs(series),
            span_types=[span_type_view(one) for one in await _lines(call, series.type_lines())],
            models=[
                model_view(one, currency)
                for one in await _lines(call, series.model_lines(call.services.prices))
            ],
        )
    )


async def _lines(call: Call, lines: Any) -> Sequence[Any]:
    """Build the lines one by one, so that other requests run in between."""
    built: list[Any] = []
    for line in lines:
        call.memory.take(_COLUMNS * _ENTRY_BYTES * len(line[2]))
        built.append(line)
        await call.work.pause()
    return built


def _runs(series: Series) -> RunSeriesView:
    by_status = {status: series.runs(status) for status in ENDED}
    return RunSeriesView(
        **by_status,
        durations=durations_view(series.run_durations()),
        overall=overall_view(series.overall_durations()),
    )


def _range(call: Call) -> Range:
    start, end = (
        None if name not in call.query else query.time(name, call.query[name])
        for name in ("start_time", "end_time")
    )
    return read_range(_bucket(call), start, end, call.now)


def _bucket(call: Call) -> Bucket:
    name = query.one_of(*BUCKET_NAMES)("bucket", call.query.get("bucket", _DEFAULT))
    return next(bucket for known, bucket in BY_NAME.items() if known == name)


OPERATIONS = (
    Read(
        name="agents.series",
        method="GET",
        path="/api/v1/agent/{agent_id}/series",
        right="read",
        summary="Show the activity of an agent over time",
        description=f"{_DESCRIPTION} The id in the path may be the agent's external identifier.",
        reply=Success[SeriesView],
        refusals=(NotFound, ValidationFailed),
        parameters=_PARAMETERS,
        answer=_agent,
    ),
    Read(
        name="accounts.series",
        method="GET",
        path="/api/v1/account/{account_id}/series",
        right="read",
        summary="Show the activity of an account over time",
        description=_DESCRIPTION,
        access="account",
        reply=Success[SeriesView],
        refusals=(NotFound, ValidationFailed),
        parameters=_PARAMETERS,
        answer=_account,
    ),
)
