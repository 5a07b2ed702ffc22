"""Sample spans through the API."""

from typing import Any

import pytest

TYPES = [
    {
        "name": "llm",
        "params_schema": {
            "type": "object",
            "properties": {
                "model": {"enum": ["a", "b"]},
                "count": {"type": "integer", "minimum": 1},
                "deep": {"type": "object", "properties": {"flag": {"type": "boolean"}}},
                "many": {"type": "array", "items": {"type": "number"}},
                "nothing": {"type": ["null", "string"]},
            },
            "required": ["model", "count", "deep", "many"],
        },
        "result_schema": {"type": "object", "properties": {"answer": {"type": "string"}}},
        "template": "{{ model }}",
    },
    {"name": "empty", "params_schema": {"type": "object"}},
]
PATH = "/agent_spans/create_test_spans"


async def test_sample_spans_are_spans(api_client: Any) -> None:
    """Sample spans are complete, have declared types and parents, match schemas and are counted."""
    run = await api_client.run(agent_schema_version={"span_type_schemas": TYPES})
    parent = await api_client.span(run)
    body = {"agent_instance_id": run["id"], "count": 100, "parent_span_id": parent["id"]}

    made = (await api_client.post(PATH, body)).summaries

    listed = {"agent_instance_id": run["id"], "status": "complete", "include_summaries": "true"}
    rows = (
        await api_client.get("/agent_spans", {**listed, "pagination[page_size]": "100"})
    ).summaries
    assert made == rows
    assert len(made) == 100
    assert {one["schema_name"] for one in made} == {"llm", "empty"}
    assert {one["parent_span_id"] for one in made} == {parent["id"]}
    assert {one["payload_validation"]["status"] for one in made} == {"success"}
    assert {one["result_payload_validation"]["status"] for one in made} == {"success"}
    assert {one["summary"] for one in made if one["schema_name"] == "llm"} == {"a", "b"}
    starts = [one["started_at"] for one in made]
    assert starts == sorted(starts)
    counts = (await api_client.get(f"/agent_instance/{run['id']}")).details["span_counts"]
    assert (counts["complete"], counts["active"]) == (100, 1)


async def test_the_default_is_one_span(api_client: Any) -> None:
    """A run that declared nothing gets one span of an invented type."""
    run = await api_client.run()

    (made,) = (await api_client.post(PATH, {"agent_instance_id": run["id"]})).summaries

    assert (made["schema_name"], made["schema_registered"]) == ("test:span", False)
    assert (made["status"], made["parent_span_id"]) == ("complete", None)


async def test_a_repeat_creates_no_spans(api_client: Any) -> None:
    """A repeat with the same key returns the same spans and creates no more."""
    run = await api_client.run(agent_schema_version={"span_type_schemas": TYPES})
    body = {"agent_instance_id": run["id"], "count": 3, "idempotency_key": "k"}

    first, again = [await api_client.post(PATH, body) for _ in range(2)]

    assert again.replayed
    assert again.summaries == first.summaries
    counts = (await api_client.get(f"/agent_instance/{run['id']}")).details["span_counts"]
    assert counts["total"] == 3


@pytest.mark.parametrize("count", [0, 101, -1, "5", 1.5])
async def test_the_number_is_bounded(api_client: Any, count: Any) -> None:
    """A request creates 1 to 100 spans, and the error says so."""
    run = await api_client.run()

    refused = await api_client.post(PATH, {"agent_instance_id": run["id"], "count": count})

    errors = refused.refused(422, "validation_errors")["errors"]
    assert errors["count"]["message"] == "must be a whole number from 1 to 100"


async def test_a_sample_span_needs_a_run(api_client: Any) -> None:
    """An unknown run is a 404; a terminated run accepts spans and sends the signal."""
    run = await api_client.run("terminated")

    unknown = await api_client.post(PATH, {"agent_instance_id": "nobody"})
    terminated = await api_client.post(PATH, {"agent_instance_id": run["id"]})

    unknown.refused(404, "not_found")
    assert terminated.body["control"] == {"terminate": True, "reason": "enough"}


async def test_sample_spans_are_created_in_bulk(api_client: Any) -> None:
    """A run that an earlier item registered already has its types."""
    items = [
        {
            "_type": "agent_instances/register",
            "idempotency_key": "register-1",
            "agent_id": "agent-1",
            "id": "run-1",
            "agent_schema_version": {"span_type_schemas": TYPES[:1]},
        },
        {
            "_type": "agent_spans/create_test_spans",
            "idempotency_key": "spans-001",
            "agent_instance_id": "run-1",
            "count": 2,
        },
    ]

    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]

    assert [one["schema_name"] for one in outputs["spans-001"]["summaries"]] == ["llm", "llm"]
