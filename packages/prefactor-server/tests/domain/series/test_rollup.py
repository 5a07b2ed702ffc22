"""Rollups: what runs and spans add to them, and the series read from them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rows import instance

from prefactor_server.domain.runs.cost import Price, PriceTable
from prefactor_server.domain.series.bucket import BUCKETS, DAY, HOUR, read_range
from prefactor_server.domain.series.figures import (
    MAX_NAMES,
    Figures,
    FinishedSpan,
    sum_of,
)
from prefactor_server.domain.series.rollup import (
    ALL_AGENTS,
    ALL_ENVIRONMENTS,
    Rollup,
    RollupKey,
    added_by,
    is_counted,
    merged,
)
from prefactor_server.domain.series.series import MAX_LINES, Series
from prefactor_server.domain.series.stored_figures import decode_figures, encode_figures
from prefactor_server.domain.times import parse_time

NOW = parse_time("2026-05-04T10:20:30Z")
MINUTE_US = 60_000_000
PRICES = PriceTable("USD", (Price("large*", Decimal(2), Decimal(4)),))


def span(number: int, **fields: Any) -> FinishedSpan:
    """A span that finished a second after it began."""
    made = FinishedSpan(
        id=f"span-{number}",
        account_id="a",
        agent_id="agent-1",
        environment_id="e",
        agent_instance_id="run-1",
        schema_name="x:llm",
        status="complete",
        started_at=NOW - 2_000_000,
        finished_at=NOW - 1_000_000,
        flags=0,
        prompt_tokens=None,
        completion_tokens=None,
        total_tokens=None,
        model=None,
    )
    return made._replace(**fields)


SPANS = st.builds(
    lambda agent, environment, name, status, at, took, tokens, model: span(
        0,
        agent_id=agent,
        environment_id=environment,
        schema_name=name,
        status=status,
        finished_at=NOW - at,
        started_at=NOW - at - took,
        prompt_tokens=tokens,
        model=model,
    ),
    st.sampled_from(("agent-1", "agent-2")),
    st.sampled_from(("live", "staging", "test")),
    st.sampled_from(("x:llm", "x:tool")),
    st.sampled_from(("complete", "failed", "cancelled")),
    st.integers(0, 200 * 24 * 60).map(lambda minutes: minutes * MINUTE_US),
    st.integers(-(10**6), 10**9),
    st.none() | st.integers(0, 10**6),
    st.none() | st.sampled_from(("large-1", "small-1")),
)


def stored(spans: Sequence[FinishedSpan], rows: Sequence[Rollup] = ()) -> list[Rollup]:
    """The rollups after spans were counted."""
    kept = {row.key: row for row in rows}
    kept |= {row.key: row for row in merged(added_by([], spans, NOW), rows)}
    return [kept[key] for key in sorted(kept)]


@given(spans=st.lists(SPANS, max_size=30), cut=st.integers(0, 30))
def test_slices_add_up(spans: list[FinishedSpan], cut: int) -> None:
    """Counting in two slices, in either order, gives the same bytes as counting at once."""
    at_once = stored(spans)

    assert stored(spans[cut:], stored(spans[:cut])) == at_once
    assert stored(spans[:cut], stored(spans[cut:])) == at_once


@given(spans=st.lists(SPANS, max_size=30))
def test_every_span_is_in_every_size_that_is_kept(spans: list[FinishedSpan]) -> None:
    """Days hold all spans, for each agent and for the account; shorter buckets hold recent ones."""
    rows = stored(spans)
    for bucket in BUCKETS:
        kept = bucket.kept_from(NOW) or 0
        expected = sum(bucket.start_of(one.finished_at) >= kept for one in spans)
        for of_account in (True, False):
            found = [
                decode_figures(row.figures)
                for row in rows
                if row.bucket_seconds == bucket.seconds
                and (row.agent_id == ALL_AGENTS) is of_account
                and row.environment_id != ALL_ENVIRONMENTS
            ]
            counted = sum(one.spans for row in found for one in row.span_types.values())
            assert counted == expected
            tokens = sum(one.prompt_tokens for row in found for one in row.models.values())
            assert bucket.kept_days or tokens == sum(one.prompt_tokens or 0 for one in spans)


@given(spans=st.lists(SPANS, max_size=30), cut=st.integers(0, 30))
def test_all_environments_are_the_sum_of_each(spans: list[FinishedSpan], cut: int) -> None:
    """All environments together have the sum of each, however they were counted."""
    rows = {row.key: row for row in stored(spans[cut:], stored(spans[:cut]))}
    parts: dict[RollupKey, list[Figures]] = {}
    for key, row in rows.items():
        if key != key.of_all:
            parts.setdefault(key.of_all, []).append(decode_figures(row.figures))
    summed = {key: row.figures for key, row in rows.items() if key == key.of_all}

    assert summed == {
        key: encode_figures(sum_of(figures)) for key, figures in parts.items() if len(figures) > 1
    }


def test_spans_closed_by_a_termination_are_not_counted() -> None:
    """A span that a termination closed does not count as ended."""
    assert not is_counted(span(1, flags=1))
    assert is_counted(span(1, flags=2))


def test_runs_are_counted_by_how_they_ended() -> None:
    """A run counts in the bucket of its end; its duration counts unless the clocks disagree."""
    ended = instance(
        account_id="a", status="failed", started_at=NOW - 5_000_000, finished_at=NOW - 1_000_000
    )
    odd = ended._replace(status="terminated", started_at=NOW)
    rows = merged(added_by([ended, ended, odd], [], NOW), [])
    of_hours = [row for row in rows if (row.bucket_seconds, row.agent_id) == (3600, ALL_AGENTS)]
    series = _series(of_hours, 2)

    assert series.runs("failed") == [0, 2]
    assert series.runs("terminated") == [0, 1]
    durations = series.run_durations()
    assert durations.measured == [0, 2]
    assert durations.p50[0] is None
    assert abs((durations.p99[1] or 0) - 4000) < 80


def test_a_series_has_every_bucket_and_prices() -> None:
    """Empty buckets are included, and unpriced usage is reported separately."""
    spans = [
        span(1, model="large-1", prompt_tokens=1_000_000, completion_tokens=500_000),
        span(2, model="large-1", total_tokens=7),
        span(3, model="unknown", prompt_tokens=3),
        span(4, schema_name="x:tool", status="failed", finished_at=NOW - 3600 * 10**6),
    ]
    rows = [row for row in stored(spans) if (row.bucket_seconds, row.agent_id) == (3600, "agent-1")]
    series = _series(rows, 3)
    llm, tool = series.type_lines()
    large, unknown = series.model_lines(PRICES)

    assert (llm.schema_name, llm.spans, llm.failed) == ("x:llm", [0, 0, 3], [0, 0, 0])
    assert (tool.schema_name, tool.spans, tool.failed) == ("x:tool", [0, 1, 0], [0, 1, 0])
    assert tool.durations.measured == [0, 0, 0]
    assert (large.model, large.cost, large.unpriced_spans) == ("large-1", [0, 0, 4.0], [0, 0, 1])
    assert large.total_tokens == [0, 0, 1_500_007]
    assert (unknown.cost, unknown.unpriced_spans) == ([0, 0, 0], [0, 0, 1])


def test_excess_names_are_summed() -> None:
    """Beyond a limit of names, the rest is one line that says so."""
    spans = [span(n, schema_name=f"type-{n:03}") for n in range(MAX_NAMES + 40)]
    rows = [
        row for row in stored(spans) if (row.bucket_seconds, row.agent_id) == (86400, "agent-1")
    ]
    lines = list(_series(rows, 1, DAY).type_lines())

    assert sum(sum(line.spans) for line in lines) == len(spans)
    assert len(lines) == MAX_LINES + 1
    assert [line.schema_name for line in lines if line.merged_names > 1] == [None]


def _series(rows: Sequence[Rollup], number: int, bucket: Any = HOUR) -> Series:
    series = Series(read_range(bucket, NOW - (number - 1) * bucket.length, NOW, NOW))
    for row in rows:
        series.add(row)
    return series
