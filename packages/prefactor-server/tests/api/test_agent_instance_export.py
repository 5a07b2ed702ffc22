"""The export of one run, as lines."""

import json
from typing import Any

import msgspec
import pytest
from bulk_items import new_item, outputs_of

from prefactor_server.queries.runs.export import SLICE_SPANS

SECRET = {"card": {"$sensitive": "financial", "value": "4111"}, "note": "paid"}


async def export(api_client: Any, run: Any, **more: Any) -> list[dict[str, Any]]:
    """The lines of a run's export."""
    answer = await api_client.get(f"/agent_instance/{run['id']}/export", **more)
    assert answer.status == 200, answer.text
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def of_type(lines: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The lines of one type."""
    return [line for line in lines if line["type"] == name]


async def recorded(api_client: Any) -> Any:
    """A run with two spans, quality, metadata, an alert, and a sensitive value."""
    types = [{"name": "pay", "params_schema": {"type": "object"}, "template": "{{ note }}"}]
    run = await api_client.register(
        agent_schema_version={"span_type_schemas": types}, metadata={"user": "ada"}
    )
    await api_client.post(f"/agent_instance/{run['id']}/start", {})
    root = await api_client.span(run, schema_name="pay", payload=SECRET)
    await api_client.span(run, parent_span_id=root["id"], status="pending", payload=None)
    await api_client.post(
        f"/agent_spans/{root['id']}/finish", {"status": "complete", "result_payload": {"ok": True}}
    )
    await api_client.post(
        f"/agent_instance/{run['id']}/record_quality",
        {"name": "judge", "payload": {"score": 1}},
    )
    raised = {"agent_instance_id": run["id"], "name": "odd", "title": "Odd", "payload": SECRET}
    await api_client.post("/alerts/raise", raised)
    return run


async def test_an_export_holds_everything_of_a_run(api_client: Any) -> None:
    """The owners of a run come first, then the run and its records; the last line counts them."""
    run = await recorded(api_client)

    lines = await export(api_client, run)

    assert [line["type"] for line in lines] == [
        "export",
        "environment",
        "agent",
        "agent_schema_version",
        "agent_version",
        "agent_deployment",
        "agent_instance",
        "agent_instance_metadata",
        "agent_instance_quality",
        "agent_span",
        "agent_span",
        "alert",
        "export_end",
    ]
    assert lines[0]["sensitive_values"] == "included"
    assert lines[0]["account_id"] == run["account_id"]
    assert lines[-1] == {"type": "export_end", "agent_instances": 1, "agent_spans": 2}
    (metadata,) = of_type(lines, "agent_instance_metadata")
    assert (metadata["id"], metadata["document"]) == (run["id"], {"user": "ada"})
    pay, bare = of_type(lines, "agent_span")
    assert (pay["payload"], pay["result_payload"]) == (SECRET, {"ok": True})
    assert (bare["payload"], bare["result_payload"]) == ({}, None)
    assert bare["parent_span_id"] == pay["id"]
    shown = (await api_client.get(f"/agent_spans/{pay['id']}")).details
    same = ("id", "agent_instance_id", "schema_name", "status", "summary", "started_at")
    assert {name: pay[name] for name in same} == {name: shown[name] for name in same}


async def test_sensitive_values_follow_the_rights_of_the_caller(api_client: Any) -> None:
    """A deployment token exports only its own run, masked, and nothing of the account."""
    run = await recorded(api_client)
    token = await api_client.deployment_token(run)

    lines = await export(api_client, run, token=token)

    assert lines[0]["sensitive_values"] == "masked"
    assert of_type(lines, "alert") == []
    assert of_type(lines, "agent_span")[0]["payload"]["card"]["value"] is None
    assert "4111" not in json.dumps(lines)


async def test_a_large_run_is_sent_in_pieces(api_client: Any) -> None:
    """Spans are read a slice at a time, each once, and compression does not change the text."""
    run = await api_client.register()
    await api_client.post(f"/agent_instance/{run['id']}/start", {})
    made = [await api_client.span(run, payload={"text": "x" * 400_000, "n": n}) for n in range(7)]

    answer = await api_client.get(f"/agent_instance/{run['id']}/export")
    packed = await api_client.get(
        f"/agent_instance/{run['id']}/export", headers={"Accept-Encoding": "gzip"}
    )

    spans = of_type([json.loads(line) for line in answer.text.splitlines()], "agent_span")
    assert [span["id"] for span in spans] == sorted(span["id"] for span in made)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.text == answer.text


async def test_a_slice_of_an_export_has_few_spans(api_client: Any) -> None:
    """However small spans are, a limited number is encoded at once, and each span once."""
    run = await api_client.register()
    ids = [f"span-{number:03}" for number in range(2 * SLICE_SPANS + 1)]
    items = [
        new_item("agent_spans/create", id_, id=id_, agent_instance_id=run["id"], schema_name="step")
        for id_ in ids
    ]
    await outputs_of(api_client, *items)

    answer = await api_client.get(f"/agent_instance/{run['id']}/export", {"format": "otlp"})

    scopes = [one["scopeSpans"] for one in json.loads(answer.text)["resourceSpans"]]
    sizes = [len(scope["spans"]) for resource in scopes for scope in resource]
    assert sizes == [SLICE_SPANS, SLICE_SPANS, 1]
    lines = await export(api_client, run)
    assert [line["id"] for line in of_type(lines, "agent_span")] == ids


@pytest.mark.parametrize("wanted", ["csv", ""])
async def test_an_unknown_format_is_refused(api_client: Any, wanted: str) -> None:
    """The error names the formats."""
    run = await api_client.register()
    answer = await api_client.get(f"/agent_instance/{run['id']}/export", format=wanted)
    assert "jsonl" in msgspec.json.encode(answer.refused(422, "validation_errors")).decode()


async def test_an_unknown_run_has_no_export(api_client: Any) -> None:
    """An unknown run is a 404 before anything is sent."""
    answer = await api_client.get("/agent_instance/nobody/export")
    answer.refused(404, "not_found")
