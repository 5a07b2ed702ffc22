"""Weaknesses of the published client, each of which is fixed here."""

from __future__ import annotations

import asyncio
import json
import pickle
from datetime import datetime
from typing import Any

import pytest

from client_fixture import INSTANCE
from prefactor_http import (
    Agent,
    AgentForUpdate,
    AgentVersionForRegister,
    BulkItem,
    BulkRequest,
    PrefactorApiError,
    PrefactorAuthError,
    PrefactorConflictError,
    PrefactorHttpClient,
    PrefactorHttpError,
    PrefactorNotFoundError,
    PrefactorRateLimitError,
    PrefactorRetryExhaustedError,
    PrefactorTimeoutError,
    RequestOptions,
)
from prefactor_http.testing import Drop, HtmlReply, Reply, ScriptedServer, Stall


def instance_reply(**changes: object) -> Reply:
    """A reply with an instance in it."""
    return Reply(200, {"status": "success", "details": {**INSTANCE, **changes}})


async def test_configured_statuses_are_the_ones_retried(server: ScriptedServer) -> None:
    """`retry_on_status_codes=(418,)` retries 418 and not 500; the published client ignores it."""
    config = server.config(retry_on_status_codes=(418,))
    async with PrefactorHttpClient(config) as client:
        server.script(Reply(418, {}))
        await client.request("GET", "/api/v1/ping")
        server.script(Reply(500, {}))
        with pytest.raises(PrefactorApiError):
            await client.request("GET", "/api/v1/ping")
    assert len(server.requests) == 3


async def test_the_default_key_is_a_prefix_of_generated_keys(server: ScriptedServer) -> None:
    """`default_idempotency_key` is a prefix of a client's keys; the published client ignores it."""
    async with PrefactorHttpClient(server.config(default_idempotency_key="worker-7")) as client:
        await client.agent_instances.register("a", {}, {})
        await client.agent_instances.register("a", {}, {})
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert all(key.startswith("worker-7-") for key in keys)
    assert len(set(keys)) == 2


async def test_a_lost_reply_does_not_duplicate_a_write(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A write whose reply was lost is repeated with its key, in header and body, and done once."""
    server.script(Drop(after="processing"))
    instance = await client.agent_instances.register("a", {}, {})
    server.script(Drop(after="processing"))
    await client.agent_spans.create(instance.id, "x", "active")
    assert (len(server.instances), len(server.spans)) == (1, 1)
    for request in server.requests:
        assert request.json["idempotency_key"] == request.headers["idempotency-key"]
    created = server.requests[-1].json
    assert created["details"]["idempotency_key"] == created["idempotency_key"]


async def test_timeouts_are_retried_and_the_servers_wait_is_kept(server: ScriptedServer) -> None:
    """A stalled attempt is repeated, and `Retry-After` is a lower bound for the wait."""
    async with PrefactorHttpClient(server.config()) as client:
        server.script(Stall(30))
        short = client.with_options(request_timeout=1.0)
        assert (await short.request("GET", "/api/v1/ping"))["status"] == "success"
        server.script(Reply.error(429, "unknown", "slow down", headers={"Retry-After": "77"}))
        with pytest.raises(PrefactorRateLimitError) as info:
            await client.request("GET", "/api/v1/ping")
    assert info.value.retry_after == 77.0


async def test_a_proxys_page_does_not_hide_the_status(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """HTML with 404 is not found, with 401 auth; 204 is a success; nulls are not "None"."""
    server.script(HtmlReply(404), HtmlReply(401), Reply(204))
    with pytest.raises(PrefactorNotFoundError):
        await client.request("GET", "/x")
    with pytest.raises(PrefactorAuthError):
        await client.request("GET", "/x")
    assert await client.request("DELETE", "/x") == {}
    server.script(Reply(409, {"code": None, "message": None}))
    with pytest.raises(PrefactorConflictError, match=r"^HTTP 409$") as info:
        await client.request("GET", "/x")
    assert info.value.code == "unknown"


async def test_an_id_cannot_reach_another_endpoint(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """The id `a/b?c` stays one path segment; in the published client it posts elsewhere."""
    with pytest.raises(PrefactorNotFoundError):
        await client.agent_instances.start("a/b?c#d")
    assert server.requests[0].target == "/api/v1/agent_instance/a%2Fb%3Fc%23d/start"


async def test_exported_models_can_be_passed(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A method accepts its request model; in the published client that is a `TypeError`."""
    await client.agent_instances.register("a", AgentVersionForRegister(name="Bot"), {})
    assert server.requests[0].json["agent_version"] == {"name": "Bot"}


async def test_a_write_that_succeeded_is_never_an_error(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """New statuses and fields, missing counts and missing deployments do not raise."""
    server.script(
        instance_reply(status="terminated"),
        instance_reply(status="hibernating", field_of_the_future={"x": 1}),
        instance_reply(span_counts={"total": 1}),
        instance_reply(span_counts=None, quality_payloads=None),
    )
    terminated, future, counts, none = [await client.agent_instances.finish("i1") for _ in range(4)]
    assert (terminated.status, future.status) == ("terminated", "hibernating")
    assert future.raw["field_of_the_future"] == {"x": 1}
    assert counts.span_counts is not None
    assert (counts.span_counts.total, counts.span_counts.pending) == (1, 0)
    assert none.agent_deployment_id is None


async def test_positions_do_not_move(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """`register` keeps the positions of the first release, and everything later is keyword-only."""
    await client.agent_instances.register("agent", {"name": "n"}, {"external_identifier": "s"})
    assert server.requests[0].json["agent_id"] == "agent"
    with pytest.raises(TypeError):
        await client.agent_instances.register("a", {}, {}, "i", "key", True, "env")  # type: ignore[call-arg]


async def test_errors_have_details(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Errors have a message, pickle, and 409 and 429 have their own classes."""
    server.script(Reply.error(409, "invalid_action", "already failed"))
    with pytest.raises(PrefactorConflictError) as conflict:
        await client.agent_instances.finish("i1")
    assert conflict.value.message == "already failed"
    twin = pickle.loads(pickle.dumps(conflict.value))  # noqa: S301 - made here
    assert (twin.message, twin.code, twin.status_code) == ("already failed", "invalid_action", 409)
    server.script(Reply.error(429, "unknown", "slow down"))
    with pytest.raises(PrefactorRateLimitError):
        await client.request("GET", "/x", options=RequestOptions(max_retries=0))


async def test_common_values_can_be_sent(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """Naive datetimes, booleans and None can be sent; the published client raises `TypeError`."""
    await client.request("GET", "/api/v1/ping", params={"yes": True, "none": None})
    assert dict(server.requests[0].query) == {"yes": "true"}
    instance = server.add_instance(status="pending")
    naive = datetime(2026, 4, 13, 2, 0)  # noqa: DTZ001 - the point
    started = await client.agent_instances.start(instance, naive)
    assert started.started_at is not None
    assert started.started_at.isoformat() == "2026-04-13T02:00:00+00:00"


def test_a_session_opened_after_closing_does_not_leak() -> None:
    """A request after `close()` opens a session that ends with the loop, without a warning."""
    with ScriptedServer() as server:

        async def program() -> Any:
            async with PrefactorHttpClient(server.config()) as client:
                await client.request("GET", "/api/v1/ping")
            await client.request("GET", "/api/v1/ping")
            return client._session

        session = asyncio.run(program())
    assert session.closed


async def test_runs_and_spans_can_be_listed(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """Runs and spans can be listed page by page, and an agent's fields can be cleared."""
    run = server.add_instance()
    made = [(await client.agent_spans.create(run, "x", "active")).id for _ in range(3)]
    spans = client.agent_spans.iterate(agent_instance_id=run, page_size=1)
    assert [span.id async for span in spans] == made
    runs = await client.agent_instances.list(page_size=1)
    assert runs.pagination is not None
    assert [found.id for found in runs] == [run]

    details = {"type": "agent", "id": "ag1", "name": "n", "status": "active"}
    pagination = {"item_count": 2, "page_size": 1, "next_page_offset": 1}
    server.script(
        Reply(200, {"summaries": [details], "pagination": pagination, "sorting": None}),
        Reply(200, {"details": details}),
    )
    agents = await client.agents.list_agents(team_id="null", sorting="-name", page_size=1)
    assert agents.pagination is not None
    assert agents.pagination.next_page_offset == 1
    updated = await client.agents.update("ag1", AgentForUpdate(team_id=None))
    assert isinstance(updated, Agent)
    assert server.requests[-1].json["details"] == {"team_id": None}


async def test_writes_can_be_bundled(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A run and its first span fit into one request, and repeating it changes nothing."""
    server.script(Drop(after="processing"))
    register = {"_type": "agent_instances/register", "agent_id": "a", "id": "run-1"}
    create = {
        "_type": "agent_spans/create",
        "agent_instance_id": "run-1",
        "schema_name": "x",
        "status": "active",
    }
    items = [
        BulkItem.model_validate({**item, "idempotency_key": f"item-000{number}"})
        for number, item in enumerate((register, create))
    ]
    response = await client.bulk.execute(BulkRequest(items=items))
    assert [output.status for output in response.outputs.values()] == ["success", "success"]
    assert (len(server.instances), len(server.spans)) == (1, 1)


async def test_one_base_class_catches_everything(server: ScriptedServer) -> None:
    """Network failures have one base class, with and without retries, not aiohttp's."""
    for retries in (0, 2):
        server.script(*[Stall(30)] * 3)
        config = server.config(max_retries=retries, request_timeout=0.03)
        async with PrefactorHttpClient(config) as client:
            with pytest.raises(PrefactorHttpError) as info:
                await client.request("GET", "/api/v1/ping")
        expected = PrefactorRetryExhaustedError if retries else PrefactorTimeoutError
        assert isinstance(info.value, expected)
        json.dumps(vars(info.value), default=repr)
