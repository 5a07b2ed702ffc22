"""Quality and metadata of runs: what each method sends and returns."""

from __future__ import annotations

import pytest

from prefactor_http import (
    PrefactorHttpClient,
)
from prefactor_http.testing import Reply, ScriptedServer

KEY = "key-1"


async def test_record_quality(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """An evaluation is recorded under its name, and None removes it."""
    instance = server.add_instance()
    judged = await client.agent_instances.record_quality(instance, "tone", {"score": 1}, KEY)
    assert judged.quality_payloads == {"tone": {"score": 1}}
    assert (await client.agent_instances.record_quality(instance, "tone")).quality_payloads == {}
    first, second = (request.json for request in server.requests)
    assert first == {"name": "tone", "payload": {"score": 1}, "idempotency_key": KEY}
    assert second["payload"] is None
    with pytest.raises(ValueError, match="name"):
        await client.agent_instances.record_quality(instance, "")


async def test_metadata(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Metadata is set at registration, changed key by key, shown and filtered by."""
    runs = client.agent_instances
    run = await runs.register("a", metadata={"user": "u", "release": "1"})
    await runs.register("a")
    changed = await runs.set_metadata(run.id, {"release": None, "b]": "2"}, KEY)
    assert run.metadata == {"user": "u", "release": "1"}
    assert changed.metadata == {"user": "u", "b]": "2"}
    sent = server.requests[2]
    assert (sent.method, sent.path) == ("PUT", f"/api/v1/agent_instance/{run.id}/metadata")
    assert sent.json == {"metadata": {"release": None, "b]": "2"}, "idempotency_key": KEY}
    assert "metadata" not in server.requests[1].json

    (found,) = await runs.list(metadata={"user": "u", "b]": "2"})
    walked = [one.id async for one in runs.iterate(metadata={"b]": "2"})]
    assert [found.id] == walked == [run.id]
    assert dict(server.requests[3].query) == {"metadata[user]": "u", "metadata[b]]": "2"}

    wrong = {"user": 5}
    for call in (
        lambda: runs.register("a", metadata=wrong),  # type: ignore[dict-item]
        lambda: runs.set_metadata(run.id, wrong),  # type: ignore[dict-item]
        lambda: runs.list(metadata=wrong),  # type: ignore[dict-item]
    ):
        with pytest.raises(ValueError, match="user"):
            await call()


async def test_an_evaluation_without_a_name(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """`update` sends an evaluation without a name, and None to remove it, under a key."""
    reply = Reply(body={"status": "success", "details": server.instances[server.add_instance()]})
    server.script(reply, reply)
    await client.agent_instances.update("i/1", {"score": None}, "key-1")
    await client.agent_instances.update("i/1", None)
    first, second = server.requests
    assert first.target == "/api/v1/agent_instance/i%2F1/update"
    assert first.json == {
        "details": {"quality_payload": {"score": None}},
        "idempotency_key": "key-1",
    }
    assert second.json["details"] == {"quality_payload": None}
    assert second.headers["idempotency-key"] == second.json["idempotency_key"]
