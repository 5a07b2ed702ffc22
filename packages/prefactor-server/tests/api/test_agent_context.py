"""A run exported with everything around it."""

from typing import Any

import pytest

from prefactor_server.api.endpoints import agent_context

SECRET = {"$sensitive": "string", "value": "hidden"}


async def _context(api_client: Any, run: Any, **more: Any) -> Any:
    answer = await api_client.get(f"/agent_instance/{run['id']}/agent_context", **more)
    assert answer.status == 200, answer.text
    return answer.body["agent_context"]["body"]


async def test_a_run_is_exported_with_everything_around_it(api_client: Any) -> None:
    """The export has each part as its own operation shows it, with spans ordered by start."""
    types = [{"name": "step", "params_schema": {"type": "object"}, "template": "{{ n }}"}]
    run = await api_client.run(agent_schema_version={"span_type_schemas": types})
    late = await api_client.span(run, started_at="2026-01-03T00:00:00Z", payload={"n": 1})
    never = await api_client.span(run, status="pending")
    early = await api_client.span(run, started_at="2026-01-02T00:00:00Z", payload={"n": 2})

    body = await _context(api_client, run)

    assert body["agent_instance"] == (await api_client.get(f"/agent_instance/{run['id']}")).details
    assert body["agent"] == (await api_client.get(f"/agent/{run['agent_id']}")).details
    for kind in ("agent_version", "agent_schema_version"):
        assert body[kind] == (await api_client.get(f"/{kind}/{run[kind + '_id']}")).details
    assert body["agent_spans"] == [early, late, never]


async def test_an_export_has_its_time_and_size(api_client: Any) -> None:
    """An export has its time and its number of spans, in addition to the body."""
    run = await api_client.run()
    for _ in range(3):
        last = await api_client.span(run)

    answer = await api_client.get(f"/agent_instance/{run['id']}/agent_context")
    context = answer.body["agent_context"]

    assert set(context) == {"body", "generated_at", "span_count"}
    assert context["span_count"] == 3
    assert context["generated_at"] > last["updated_at"]


async def test_every_page_of_spans_is_exported(api_client: Any) -> None:
    """An export larger than one page of spans has each span once."""
    run = await api_client.run()
    ids = {f"span-{number:04}" for number in range(1200)}
    items = [
        {
            "_type": "agent_spans/create",
            "idempotency_key": f"key-{one}",
            "id": one,
            "agent_instance_id": run["id"],
            "schema_name": "step",
        }
        for one in sorted(ids)
    ]
    for part in (items[:600], items[600:]):
        assert (await api_client.post("/bulk", {"items": part})).status == 200

    spans = (await _context(api_client, run))["agent_spans"]

    assert len(spans) == 1200
    assert {one["id"] for one in spans} == ids


@pytest.mark.parametrize("limit", ["MAX_SPANS", "MAX_PAYLOAD_BYTES"])
async def test_an_oversized_export_is_refused(
    api_client: Any, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run beyond a limit is a 413, and the message says what to do instead."""
    run = await api_client.run()
    for _ in range(3):
        await api_client.span(run, payload={"text": "x"})
    monkeypatch.setattr(agent_context, limit, 2)

    refused = await api_client.get(f"/agent_instance/{run['id']}/agent_context")

    assert "page by page" in refused.refused(413, "bad_request")["message"]


async def test_an_export_is_limited_to_the_callers_rights(api_client: Any) -> None:
    """A deployment token exports its own runs, masked; another's and unknown runs do not exist."""
    run = await api_client.run()
    other = await api_client.run(agent_id="agent-2")
    token = await api_client.deployment_token(run)
    await api_client.span(run, payload={"card": SECRET})

    (whole,) = (await _context(api_client, run))["agent_spans"]
    (masked,) = (await _context(api_client, run, token=token))["agent_spans"]
    path = f"/agent_instance/{other['id']}/agent_context"

    assert whole["payload"]["card"]["value"] == "hidden"
    assert masked["payload"]["card"]["value"] is None
    (await api_client.get(path, token=token)).refused(404, "not_found")
    (await api_client.get("/agent_instance/nobody/agent_context")).refused(404, "not_found")
