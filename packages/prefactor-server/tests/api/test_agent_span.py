"""Spans through the API: statuses, checks, summaries and the control signal."""

from typing import Any

import pytest

STATUSES = ("pending", "active", "complete", "failed", "cancelled")
FINISHES = ("complete", "failed", "cancelled")
LLM = {
    "name": "llm",
    "title": "LLM call",
    "params_schema": {
        "type": "object",
        "properties": {"model": {"type": "string"}},
        "required": ["model"],
    },
    "result_schema": {"type": "object", "required": ["response"]},
    "template": "{{ model }} → {{ response }}",
}


async def _typed_run(api_client: Any, *types: Any) -> Any:
    return await api_client.register(
        agent_schema_version={"span_type_schemas": list(types) or [LLM]}
    )


@pytest.mark.parametrize("status", STATUSES)
async def test_a_span_is_created_in_any_status(api_client: Any, status: str) -> None:
    """Each status is accepted, and sets the times that belong to it."""
    run = await api_client.run("active")

    span = await api_client.span(run, status=status)

    assert (span["type"], span["status"]) == ("agent_span", status)
    assert (span["started_at"] is None) == (status == "pending")
    assert (span["finished_at"] is None) == (status in ("pending", "active"))
    counts = (await api_client.get(f"/agent_instance/{run['id']}")).details["span_counts"]
    assert (counts["total"], counts[status]) == (1, 1)
    assert counts["finished"] == (status in FINISHES)


async def test_a_span_is_active_by_default(api_client: Any) -> None:
    """Only the run and the type are needed; the rest has defaults."""
    span = await api_client.span(await api_client.run(), status=None, payload=None)

    assert (span["status"], span["payload"], span["result_payload"]) == ("active", {}, None)


async def test_a_span_reads_back_as_sent(api_client: Any) -> None:
    """Every field of a span reads back as it was sent, including nulls inside payloads."""
    run = await api_client.run("active")
    parent = await api_client.span(run)
    sent = {
        "id": "span-1",
        "parent_span_id": parent["id"],
        "schema_name": "agent:llm",
        "status": "complete",
        "payload": {"a": None, "b": [1, 2.5, "é"], "c": {"d": {}}},
        "result_payload": {"big": 2**70, "nul": "\0"},
        "started_at": "2026-01-01T10:00:00.000000Z",
        "finished_at": "2026-01-01T10:00:01.000001Z",
        "sensitive_encoding": True,
    }

    created = await api_client.span(run, **sent)
    shown = (await api_client.get("/agent_spans/span-1")).details

    assert created == shown
    assert {name: shown[name] for name in sent} == sent
    assert shown["agent_instance_id"] == run["id"]
    assert shown["agent_id"] == run["agent_id"]


@pytest.mark.parametrize("status", ["pending", "active"])
async def test_only_a_finished_span_has_a_result(api_client: Any, status: str) -> None:
    """A result at creation belongs to a finished status; otherwise the field is refused."""
    run = await api_client.run()
    details = {
        "agent_instance_id": run["id"],
        "schema_name": "step",
        "status": status,
        "result_payload": {},
    }

    refused = await api_client.post("/agent_spans", {"details": details})

    errors = refused.refused(422, "validation_errors")["errors"]["details"]
    assert errors["result_payload"]["code"] == "invalid_value"


@pytest.mark.parametrize("status", FINISHES)
async def test_an_active_span_finishes(api_client: Any, status: str) -> None:
    """An active span can end in each way, with its result and at the client's time."""
    run = await api_client.run()
    span = await api_client.span(run, payload={"a": 1})

    ended = await api_client.post(
        f"/agent_spans/{span['id']}/finish",
        {"status": status, "result_payload": {"b": 2}, "timestamp": "2026-01-01T09:00:00Z"},
    )

    assert ended.details["status"] == status
    assert ended.details["finished_at"] == "2026-01-01T09:00:00.000000Z"
    assert (ended.details["payload"], ended.details["result_payload"]) == ({"a": 1}, {"b": 2})
    counts = (await api_client.get(f"/agent_instance/{run['id']}")).details["span_counts"]
    assert (counts["active"], counts[status], counts["total"]) == (0, 1, 1)


async def test_finishing_without_a_body_completes(api_client: Any) -> None:
    """The default of finish is complete, now, with no result."""
    span = await api_client.span(await api_client.run())

    ended = (await api_client.post(f"/agent_spans/{span['id']}/finish")).details

    assert (ended["status"], ended["result_payload"]) == ("complete", None)
    assert ended["finished_at"] == ended["updated_at"]


async def test_a_pending_span_can_only_be_cancelled(api_client: Any) -> None:
    """Cancelling a pending span sets both times; completing or failing it is a conflict."""
    span = await api_client.span(await api_client.run(), status="pending")
    path = f"/agent_spans/{span['id']}/finish"

    for status in ("complete", "failed"):
        refused = await api_client.post(path, {"status": status})
        assert "must be active to finish" in refused.refused(409, "invalid_action")["message"]
    ended = (await api_client.post(path, {"status": "cancelled"})).details

    assert ended["started_at"] == ended["finished_at"] is not None


@pytest.mark.parametrize("before", FINISHES)
@pytest.mark.parametrize("status", FINISHES)
async def test_an_ended_span_does_not_change(api_client: Any, before: str, status: str) -> None:
    """Finishing a span that has ended is a conflict and changes nothing."""
    span = await api_client.span(await api_client.run(), status=before)

    refused = await api_client.post(f"/agent_spans/{span['id']}/finish", {"status": status})

    assert before in refused.refused(409, "invalid_action")["message"]
    assert (await api_client.get(f"/agent_spans/{span['id']}")).details == span


@pytest.mark.parametrize("status", ["pending", "complete", "failed", "cancelled"])
async def test_spans_may_arrive_early_and_late(api_client: Any, status: str) -> None:
    """A run's status never rejects a span, because client queues deliver early and late."""
    run = await api_client.run(status)

    answer = await api_client.post(
        "/agent_spans", {"details": {"agent_instance_id": run["id"], "schema_name": "step"}}
    )
    ended = await api_client.post(f"/agent_spans/{answer.details['id']}/finish")

    assert ended.details["status"] == "complete"
    assert "control" not in answer.body
    assert "control" not in ended.body


async def test_writes_to_a_terminated_run_carry_the_signal(api_client: Any) -> None:
    """After a termination, creating and finishing spans succeed and carry the control signal."""
    run = await api_client.run()
    span = await api_client.span(run)
    path = f"/agent_instance/{run['id']}/terminate"
    await api_client.post(path, {"reason": "budget exceeded"})
    control = {"terminate": True, "reason": "budget exceeded"}

    finished = await api_client.post(f"/agent_spans/{span['id']}/finish", {"status": "failed"})
    created = await api_client.post(
        "/agent_spans", {"details": {"agent_instance_id": run["id"], "schema_name": "step"}}
    )

    assert finished.body["control"] == created.body["control"] == control
    assert (finished.details["status"], created.details["status"]) == ("failed", "active")


async def test_a_span_closed_by_termination_is_finished_once(api_client: Any) -> None:
    """The last result of a terminated run is kept; a second finish is refused as usual."""
    run = await api_client.run()
    span = await api_client.span(run)
    await api_client.post(f"/agent_instance/{run['id']}/terminate", {"reason": "enough"})
    path = f"/agent_spans/{span['id']}/finish"

    first = await api_client.post(path, {"result_payload": {"a": 1}})
    second = await api_client.post(path, {"status": "failed"})

    assert (first.details["status"], first.details["result_payload"]) == ("complete", {"a": 1})
    assert not first.details["closed_by_termination"]
    second.refused(409, "invalid_action")
    counts = (await api_client.get(f"/agent_instance/{run['id']}")).details["span_counts"]
    assert (counts["complete"], counts["cancelled"], counts["total"]) == (1, 0, 1)


async def test_payloads_are_checked_and_never_refused(api_client: Any) -> None:
    """Every payload is stored, and flagged as matching or not matching its schema."""
    run = await _typed_run(api_client)

    good = await api_client.span(run, schema_name="llm", payload={"model": "m"})
    bad = await api_client.span(
        run, schema_name="llm", status="complete", payload={}, result_payload={"response": "r"}
    )

    assert good["payload_validation"] == {"status": "success", "message": None}
    assert good["result_payload_validation"] is None
    assert bad["payload_validation"]["status"] == "error"
    assert "model" in bad["payload_validation"]["message"]
    assert bad["result_payload_validation"] == {"status": "success", "message": None}


async def test_an_undeclared_type_is_accepted_and_marked(api_client: Any) -> None:
    """A span of a type that its run did not declare has its name for a title, and no checks."""
    span = await api_client.span(
        await _typed_run(api_client), schema_name="other", payload={"a": 1}
    )

    assert (span["schema_registered"], span["schema_title"]) == (False, "other")
    assert (
        span["payload_validation"] is span["result_payload_validation"] is span["summary"] is None
    )


async def test_a_missing_result_schema_means_an_empty_result(api_client: Any) -> None:
    """A type without a result schema declares an empty result, so any content is a mismatch."""
    run = await _typed_run(api_client, {"name": "t", "params_schema": {}})
    ends = [{"result_payload": {"a": 1}}, {}, {"status": "failed"}]

    marks = []
    for end in ends:
        span = await api_client.span(run, schema_name="t")
        ended = (await api_client.post(f"/agent_spans/{span['id']}/finish", end)).details
        marks.append(ended["result_payload_validation"])

    assert marks[0]["status"] == "error"
    assert marks[1:] == [{"status": "success", "message": None}, None]


async def test_the_summary_grows_with_the_span(api_client: Any) -> None:
    """A template is rendered from the payload at first, and with the result at the end."""
    run = await _typed_run(api_client)
    span = await api_client.span(run, schema_name="llm", payload={"model": "m", "response": "wait"})

    ended = await api_client.post(
        f"/agent_spans/{span['id']}/finish", {"result_payload": {"response": "done"}}
    )

    assert (span["schema_title"], span["summary"]) == ("LLM call", "m → wait")
    assert ended.details["summary"] == "m → done"


async def test_lists_have_summaries_on_request(api_client: Any) -> None:
    """A row's summary is null on lists unless include_summaries asks for it."""
    run = await _typed_run(api_client)
    await api_client.span(run, schema_name="llm", payload={"model": "m"})
    query = {"agent_instance_id": run["id"]}

    plain = (await api_client.get("/agent_spans", query)).summaries
    full = (await api_client.get("/agent_spans", {**query, "include_summaries": "true"})).summaries

    assert [row["summary"] for row in plain] == [None]
    assert [row["summary"] for row in full] == ["m →"]


async def test_usage_is_read_from_the_payloads(api_client: Any) -> None:
    """A span's tokens, model and tool are read from where the SDKs put them."""
    run = await api_client.run()
    span = await api_client.span(
        run, schema_name="x:tool", payload={"model": "m", "name": "search"}
    )

    ended = await api_client.post(
        f"/agent_spans/{span['id']}/finish",
        {"result_payload": {"token_usage": {"prompt_tokens": 3, "completion_tokens": 4}}},
    )

    names = ("prompt_tokens", "completion_tokens", "total_tokens", "model", "tool_name")
    assert [ended.details[name] for name in names] == [3, 4, 7, "m", "search"]


async def test_clock_skew_is_flagged(api_client: Any) -> None:
    """A span that ends before it starts is stored as sent, and flagged."""
    span = await api_client.span(
        await api_client.run(),
        status="complete",
        started_at="2026-01-01T10:00:00Z",
        finished_at="2026-01-01T09:00:00Z",
    )

    assert span["finished_before_started"]
    assert span["finished_at"] < span["started_at"]


async def test_a_termination_flags_a_span_from_the_future(api_client: Any) -> None:
    """A span whose client's clock is ahead is flagged when a termination closes it."""
    run = await api_client.run()
    span = await api_client.span(run, started_at="2099-01-01T10:00:00Z")

    await api_client.post(f"/agent_instance/{run['id']}/terminate", {"reason": "enough"})

    closed = (await api_client.get(f"/agent_spans/{span['id']}")).details
    assert (closed["status"], closed["finished_before_started"]) == ("cancelled", True)


async def test_a_second_span_with_the_same_id_is_a_conflict(api_client: Any) -> None:
    """Creating another span with an existing id is refused, whatever its content."""
    run = await api_client.run()
    await api_client.span(run, id="span-1")
    details = {"agent_instance_id": run["id"], "schema_name": "other", "id": "span-1"}

    (await api_client.post("/agent_spans", {"details": details})).refused(409, "invalid_action")


async def test_spans_of_unknown_runs_and_unknown_spans_are_not_found(api_client: Any) -> None:
    """A span of an unknown run is a 404, and nothing is created."""
    details = {"agent_instance_id": "nobody", "schema_name": "step"}

    (await api_client.post("/agent_spans", {"details": details})).refused(404, "not_found")
    (await api_client.post("/agent_spans/nobody/finish")).refused(404, "not_found")
    (await api_client.get("/agent_spans/nobody")).refused(404, "not_found")


async def test_every_wrong_field_is_named_under_details(api_client: Any) -> None:
    """The errors of a wrapped request are nested like the request, and complete."""
    refused = await api_client.post(
        "/agent_spans",
        {"details": {"status": "done", "payload": [], "id": "a b", "started_at": 5}},
    )

    errors = refused.refused(422, "validation_errors")["errors"]["details"]
    assert {name: error["code"] for name, error in errors.items()} == {
        "agent_instance_id": "required_value",
        "schema_name": "required_value",
        "status": "invalid_value",
        "payload": "invalid_value",
        "id": "invalid_value",
        "started_at": "invalid_value",
    }


async def test_the_list_filters_spans(api_client: Any) -> None:
    """Each filter of the list of spans returns exactly the matching spans."""
    run, other = await api_client.run(), await api_client.run(agent_id="agent-2", purpose="eval")
    root = await api_client.span(run, started_at="2026-01-01T10:00:00Z")
    child = await api_client.span(
        run, parent_span_id=root["id"], status="failed", started_at="2026-01-01T11:00:00Z"
    )
    far = await api_client.span(other, schema_name="far", started_at="2026-01-01T12:00:00Z")
    expected: list[tuple[dict[str, str], list[Any]]] = [
        ({"agent_instance_id": run["id"]}, [root, child]),
        ({"agent_id": "agent-2"}, [far]),
        ({"agent_id": run["agent_id"]}, [root, child]),
        ({"agent_id": "agent-1", "agent_instance_id": other["id"]}, []),
        ({"agent_id": "agent-1", "parent_span_id": "null"}, [root]),
        ({"agent_id": "agent-1", "parent_span_id": root["id"]}, [child]),
        ({"agent_id": "agent-1", "status": "failed"}, [child]),
        ({"agent_id": "agent-2", "schema_name": "far"}, [far]),
        ({"agent_id": "agent-1", "start_time": "2026-01-01T11:00:00Z"}, [child]),
        ({"agent_id": "agent-1", "end_time": "2026-01-01T11:00:00Z"}, [root]),
    ]

    for query, spans in expected:
        found = (await api_client.get("/agent_spans", query)).summaries
        assert [row["id"] for row in found] == [span["id"] for span in spans], query
    (row,) = (await api_client.get("/agent_spans", {"agent_id": "agent-2"})).summaries
    assert row == far
    assert row["purpose"] == "eval"


async def test_a_list_of_spans_needs_a_run_or_an_agent(api_client: Any) -> None:
    """Listing all spans of an account is refused: a run or an agent is required."""
    refused = await api_client.get("/agent_spans", {"status": "failed"})

    errors = refused.refused(422, "validation_errors")["errors"]
    assert errors["agent_instance_id"]["code"] == "required_value"
