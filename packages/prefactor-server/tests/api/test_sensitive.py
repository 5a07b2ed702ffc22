"""Values marked as sensitive: stored, and shown only to account tokens."""

from typing import Any

SECRET = {"$sensitive": "string", "value": {"deep": "hidden"}, "labels": ["pii"]}
MASKED = {"$sensitive": "string", "value": None, "labels": ["pii"]}


async def test_only_account_tokens_see_sensitive_values(api_client: Any) -> None:
    """A deployment token reads null for every marked value, at any depth, and all others."""
    run = await api_client.run()
    token = await api_client.deployment_token(run)
    span = await api_client.span(
        run,
        status="complete",
        payload={"inputs": [{"card": SECRET}], "value": 1},
        result_payload={"answer": SECRET},
    )
    path = f"/agent_spans/{span['id']}"

    whole = (await api_client.get(path)).details
    masked = (await api_client.get(path, token=token)).details
    (row,) = (await api_client.get("/agent_spans", token=token)).summaries

    assert whole["payload"] == {"inputs": [{"card": SECRET}], "value": 1}
    assert whole["result_payload"] == {"answer": SECRET}
    for seen in (masked, row):
        assert seen["payload"] == {"inputs": [{"card": MASKED}], "value": 1}
        assert seen["result_payload"] == {"answer": MASKED}


async def test_repeating_a_write_reveals_nothing(api_client: Any) -> None:
    """Answers to writes are masked as well, including repeats."""
    run = await api_client.run()
    token = await api_client.deployment_token(run)
    details = {"agent_instance_id": run["id"], "schema_name": "s", "payload": {"a": SECRET}}
    body = {"details": details, "idempotency_key": "k"}

    answers = [await api_client.post("/agent_spans", body, token=token) for _ in range(2)]

    assert [one.replayed for one in answers] == [False, True]
    assert [one.details["payload"] for one in answers] == [{"a": MASKED}] * 2


async def test_quality_is_masked_too(api_client: Any) -> None:
    """A sensitive evaluation is shown to account tokens only, and in no summary."""
    template = {"name": "q", "schema": {"type": "object"}, "template": "<{{ who }}>"}
    run = await api_client.run(agent_schema_version={"quality_schemas": [template]})
    token = await api_client.deployment_token(run)
    path = f"/agent_instance/{run['id']}"
    await api_client.post(f"{path}/record_quality", {"name": "q", "payload": {"who": SECRET}})

    whole = (await api_client.get(path)).details
    masked = (await api_client.get(path, token=token)).details

    assert whole["quality_payloads"] == {"q": {"who": SECRET}}
    assert masked["quality_payloads"] == {"q": {"who": MASKED}}
    assert "hidden" not in whole["quality_summaries"]["q"]


async def test_a_text_like_the_marker_is_not_masked(api_client: Any) -> None:
    """A text that happens to contain the marker is not masked."""
    run = await api_client.run()
    token = await api_client.deployment_token(run)
    payload = {"said": '{"$sensitive": 1, "value": 2}', "value": 3, "n": [1.5, None, True]}
    span = await api_client.span(run, payload=payload)

    seen = (await api_client.get(f"/agent_spans/{span['id']}", token=token)).details

    assert seen["payload"] == payload
