"""Repairing refused items, as pure rules."""

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_recorder.delivery.outcomes import item_outcome
from prefactor_recorder.delivery.planner import MAX_UNKNOWN_RUN, Planner
from prefactor_recorder.delivery.repair import (
    SizeLimits,
    distinct_registration,
    repaired_registration,
)
from prefactor_recorder.delivery.run_queue import Item
from prefactor_recorder.encoding.record import Operation, Record
from prefactor_recorder.journal.base import Entry
from prefactor_recorder.journal.memory import MemoryJournal
from recorded import TIME, RecordedRun

NOT_FOUND = {"status": "error", "code": "not_found", "message": "no such run"}


def span(payload: int, result: int) -> Item:
    """A span with payloads of about `size` bytes."""
    start = '"agent_instance_id":"r","id":"s","schema_name":",\\"payload\\":","payload":'
    create = Record(
        Operation.CREATE_SPAN, "r", "s", start.encode() + orjson.dumps({"text": "p" * payload})
    )
    end = f'{TIME},"status":"complete","result_payload":'
    finish = Record(
        Operation.FINISH_SPAN, "r", "s", end.encode() + orjson.dumps({"text": "r" * result})
    )
    item = Item(create, Entry(create, 10, None))
    item.merge(Entry(finish, 10, None))
    return item


def payloads(item: Item) -> tuple[bytes, bytes]:
    """Return the sent payload and result, and check that the rest is unchanged."""
    sent = orjson.loads(item.encode())
    assert sent["schema_name"] == ',"payload":'
    assert sent["status"] == "complete"
    return orjson.dumps(sent["payload"]), orjson.dumps(sent["result_payload"])


@given(st.integers(0, 60_000), st.integers(0, 60_000), st.integers(1, 70_000), st.booleans())
def test_a_span_is_shrunk_to_the_servers_limit(
    payload: int, result: int, limit: int, expected: bool
) -> None:
    """If the server names its limit, a refused item is shrunk until it fits."""
    of = "request_bytes" if expected else "payload_bytes"
    item, limits = span(payload, result), SizeLimits()
    for _ in range(40):
        size = len(item.encode()) + len(b'{"items":[]}')
        if size <= limit if expected else max(map(len, payloads(item))) <= limit:
            break
        before = item.size
        if not limits.reduce(item, {"code": "bad_request", "limit": limit, "limit_of": of}):
            assert max(map(len, payloads(item))) <= 256
            break
        assert item.size < before
    later = span(payload, result)
    limits.fit(later)
    assert later.size <= max(item.size, span(0, 0).size)


def test_a_refusal_without_a_limit_halves_the_payloads() -> None:
    """A proxy names no limit, so payloads are halved until nothing is left to halve."""
    item, limits, sizes = span(100_000, 0), SizeLimits(), []
    while limits.reduce(item, {"code": "unknown", "status": 413}):
        sizes.append(len(payloads(item)[0]))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 45_000
    assert sizes[-1] <= 256
    assert (limits.payload, limits.request) == (None, None)


def registration(**members: Any) -> Record:
    """A registration."""
    body = {"id": "r", "agent_id": "a", "environment_id": "e", **members}
    return Record(Operation.REGISTER, "r", "r", orjson.dumps(body)[1:-1])


def members(record: Record | None) -> dict[str, Any]:
    """Return the fields of a registration."""
    assert record is not None
    return orjson.loads(b"{%b}" % record.body)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("errors", "left"),
    [
        ({"external_identifier": {"code": "invalid_value"}}, {"agent_version"}),
        (
            {"agent_version": {"name": {"code": "invalid_value"}}},
            {"external_identifier", "agent_version"},
        ),
        ({"agent_version": {"code": "invalid_value"}}, {"external_identifier"}),
    ],
)
def test_a_registration_loses_its_rejected_members(errors: dict[str, Any], left: set[str]) -> None:
    """Only the members with errors are removed, even if they are one part of a version."""
    given = registration(external_identifier="x", agent_version={"name": "n", "description": "d"})
    found = members(repaired_registration(given, {"code": "validation_errors", "errors": errors}))
    assert found.keys() == {"id", "agent_id", "environment_id", *left}
    if "name" in errors.get("agent_version", {}):
        assert found["agent_version"] == {"description": "d"}


def test_agent_and_environment_are_never_removed() -> None:
    """A registration with a rejected agent or environment is dead-lettered."""
    for name in ("agent_id", "environment_id", "id"):
        errors = {name: {"code": "invalid_value"}}
        assert repaired_registration(registration(), {"errors": errors}) is None
    assert repaired_registration(registration(), {"code": "bad_request"}) is None


def test_an_identifier_is_made_distinct_once() -> None:
    """The run's id is appended within the length limit, and a second repair fails."""
    found = distinct_registration(registration(external_identifier="x" * 256))
    assert members(found)["external_identifier"] == "x" * 254 + "~r"
    assert found is not None
    assert distinct_registration(found) is None
    assert distinct_registration(registration()) is None


def test_spans_of_an_unregistered_run_are_given_up() -> None:
    """Spans of an unregistered run are dead-lettered after a while, even if nothing is sent."""
    journal, planner = MemoryJournal(2**20), Planner(2**20, random.Random(1).random)
    RecordedRun(journal).span("span-00000001")
    planner.add(journal.read(2**20))
    now, asked, dead_lettered = 0.0, 0, 0
    while not dead_lettered:
        batch = planner.next_batch(now, 1000, 2**20)
        if batch is None:
            now = planner.next_release
            continue
        asked += 1
        outcomes = [item_outcome(item, NOT_FOUND) for item in batch.items.values()]
        dead_lettered = len(planner.apply(batch, outcomes, now).dead_lettered)
    assert (asked, dead_lettered) == (MAX_UNKNOWN_RUN, 2)
    assert now > 600


def test_a_requeued_run_is_sent_again() -> None:
    """The planner sends a rejected run again when its registration is queued again."""
    journal, planner = MemoryJournal(2**20), Planner(2**20, random.Random(1).random)
    run = RecordedRun(journal).begin()
    for code, expected in (("not_found", 2), (None, 0)):
        planner.add(journal.read(2**20))
        batch = planner.next_batch(0.0, 1000, 2**20)
        assert batch is not None
        output = {"status": "success"} if code is None else {"status": "error", "code": code}
        keys = list(batch.items)
        outputs = dict.fromkeys(keys if code is None else keys[:1], output)
        outcomes = [item_outcome(item, outputs.get(key)) for key, item in batch.items.items()]
        assert len(planner.apply(batch, outcomes, 0.0).dead_lettered) == expected
        run.begin()
