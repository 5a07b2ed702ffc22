"""The example data, before anything is sent."""

import json
from collections import Counter

import pytest

from prefactor_server.domain.times import parse_time
from prefactor_server.seed.history import History, PlannedRun
from prefactor_server.seed.large_run import LargeRun

UNTIL = parse_time("2026-06-12T15:00:00Z")
KINDS = {"agent", "llm", "tool", "retrieval", "http", "guard", "human"}


@pytest.fixture(scope="module")
def planned() -> list[PlannedRun]:
    """Two hundred and fifty runs."""
    return list(History(7, 250, UNTIL).planned())


def test_a_seed_makes_the_same_data(planned: list[PlannedRun]) -> None:
    """The same seed, number and end give the same bytes, and another seed gives others."""
    again = list(History(7, 250, UNTIL).planned())
    other = next(History(8, 250, UNTIL).planned())

    assert json.dumps(again) == json.dumps(planned)
    assert other.items != planned[0].items


def test_every_ending_occurs(planned: list[PlannedRun]) -> None:
    """Most runs are complete, and there are some of every other status."""
    counts = Counter(run.status for run in planned)

    assert set(counts) == {"pending", "active", "complete", "failed", "cancelled", "terminated"}
    assert counts["complete"] > 180
    assert counts["failed"] > 5


def test_runs_begin_in_the_order_of_their_ids(planned: list[PlannedRun]) -> None:
    """The history spans two weeks and ends at its end; ids sort as the runs began."""
    starts = [
        parse_time(item["timestamp"])
        for run in planned
        for item in run.items
        if item["_type"] == "agent_instances/start"
    ]
    ended = starts[:-4]

    assert ended == sorted(ended)
    assert starts[0] == History(7, 250, UNTIL).start
    assert max(starts) < UNTIL
    assert [run.id for run in planned] == sorted(run.id for run in planned)


def test_spans_nest_in_time(planned: list[PlannedRun]) -> None:
    """Each span begins after its parent, and ends before it and before the end of the history."""
    kinds: set[str] = set()
    for run in planned:
        spans = {item["id"]: item for item in run.items if item["_type"] == "agent_spans/create"}
        for span in spans.values():
            kinds.add(span["schema_name"].partition(":")[2])
            end = span.get("finished_at", span["started_at"])
            parent = spans.get(span.get("parent_span_id"), span)
            assert parent["started_at"] <= span["started_at"] <= end
            assert end <= parent.get("finished_at", end)
            assert parse_time(end) < UNTIL

    assert kinds == KINDS


def test_keys_are_unique(planned: list[PlannedRun]) -> None:
    """No two items share an idempotency key, within a request or across them."""
    keys = [item["idempotency_key"] for run in planned for item in run.items]

    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("spans", [10, 2500])
def test_the_large_run_has_the_requested_spans(spans: int) -> None:
    """The large run has the spans, is deep, fits the request limits, and ends in time."""
    run = LargeRun(1, UNTIL, spans)
    requests = [run.beginning(), *run.pieces(), run.end()]
    items = [item for request in requests for item in request]
    created = [item for item in items if item["_type"] == "agent_spans/create"]
    depths: dict[str, int] = {}
    for item in created:
        depths[item["id"]] = depths.get(item.get("parent_span_id", ""), 0) + 1

    assert len(created) == spans
    assert max(map(len, requests)) <= 1000
    assert items[-1]["_type"] == "agent_instances/finish"
    assert parse_time(items[-1]["timestamp"]) < UNTIL
    assert max(depths.values()) > 2
