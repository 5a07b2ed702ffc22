"""Bodies over a megabyte: aiohttp warns about them, and here warnings are errors."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from prefactor_http import BulkItem, BulkRequest, PrefactorHttpClient
from prefactor_http._transport.connections import LARGE_BODY
from prefactor_http.testing import Drop, Reply, ScriptedServer, Step

TEXT = "x" * 300_000


def five_spans(instance: str) -> BulkRequest:
    """A bulk request of one and a half megabytes."""
    return BulkRequest(
        items=[
            BulkItem(
                _type="agent_spans/create",
                idempotency_key=f"span-000{number}",
                agent_instance_id=instance,
                schema_name="agent:llm",
                status="active",
                payload={"text": TEXT},
            )
            for number in range(5)
        ]
    )


@pytest.mark.parametrize("own_session", [False, True])
async def test_a_bulk_of_large_spans(server: ScriptedServer, own_session: bool) -> None:
    """A large bulk request arrives whole, as JSON, on the client's session and on a caller's."""
    instance = server.add_instance()
    async with aiohttp.ClientSession() as session:
        given = session if own_session else None
        async with PrefactorHttpClient(server.config(), session=given) as client:
            reply = await client.bulk.execute(five_spans(instance))
    [request] = server.requests
    assert {output.status for output in reply.outputs.values()} == {"success"}
    assert [span["payload"]["text"] for span in server.spans.values()] == [TEXT] * 5
    assert len(request.body) > LARGE_BODY
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == str(len(request.body))


@pytest.mark.parametrize("step", [Reply.error(503, "busy", "Busy"), Drop(), Drop(after="half")])
async def test_every_attempt_sends_the_whole_body(
    client: PrefactorHttpClient, server: ScriptedServer, step: Step
) -> None:
    """A retry, and a replay on a fresh connection, start at the beginning of the body again."""
    instance = server.add_instance()
    await client.validate_token()
    server.script(step)
    await client.bulk.execute(five_spans(instance))
    _, first, second = server.requests
    assert first.body == second.body
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert len(server.spans) == 5


@pytest.mark.parametrize("extra", [-1, 0, 1])
async def test_around_the_limit(
    client: PrefactorHttpClient, server: ScriptedServer, extra: int
) -> None:
    """The bytes are the same on both sides of the limit."""
    frame = len(b'{"text":""}')
    body: dict[str, Any] = {"text": "é" * 10 + "y" * (LARGE_BODY - frame - 20 + extra)}
    server.script(Reply(body={"status": "success"}))
    await client.request("POST", "/api/v1/x", json_data=body)
    assert len(server.requests[0].body) == LARGE_BODY + extra
    assert server.requests[0].json == body
