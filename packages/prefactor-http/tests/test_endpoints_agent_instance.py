"""Runs: what each method sends, field by field, and what it returns."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from prefactor_http import (
    AgentSchemaVersionForRegister,
    AgentVersionForRegister,
    PrefactorConflictError,
    PrefactorHttpClient,
    PrefactorNotFoundError,
    PrefactorRequestError,
    PrefactorResponseContractError,
    PrefactorValidationError,
    QualitySchemaForCreate,
    RuntimeEnvironment,
    SpanTypeSchemaForCreate,
)
from prefactor_http.testing import Reply, ScriptedServer

PATH = "/api/v1/agent_instance"
KEY = "key-1"
MOMENT = "2026-01-01T00:00:00Z"


async def register(client: PrefactorHttpClient, *args: Any, **kwargs: Any) -> str:
    """Register a run under a known key and return its id."""
    return (await client.agent_instances.register(*args, idempotency_key=KEY, **kwargs)).id


async def test_register_by_position(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """The published positional order works, and only the given fields are sent."""
    version, schema = {"name": "Bot"}, {"external_identifier": "s1"}
    await client.agent_instances.register("agent_123", version, schema, "i-1", KEY, False)
    sent = server.requests[0]
    assert (sent.method, sent.path) == ("POST", f"{PATH}/register")
    assert sent.headers["idempotency-key"] == KEY
    assert sent.json == {
        "agent_id": "agent_123",
        "agent_version": version,
        "agent_schema_version": schema,
        "update_current_version": False,
        "id": "i-1",
        "idempotency_key": KEY,
    }


async def test_register_with_nothing(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A deployment token implies the agent, so every argument is optional."""
    await register(client)
    assert server.requests[0].json == {"update_current_version": True, "idempotency_key": KEY}


async def test_register_with_empty_parts(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """Empty objects are sent as such, and so are keyword-only additions."""
    await register(client, "a", {}, {}, environment_id="e", purpose="eval", external_identifier="x")
    assert server.requests[0].json == {
        "agent_id": "a",
        "agent_version": {},
        "agent_schema_version": {},
        "update_current_version": True,
        "environment_id": "e",
        "purpose": "eval",
        "external_identifier": "x",
        "idempotency_key": KEY,
    }


async def test_register_with_models(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Models are accepted where dicts are, alone or inside of dicts, and go by alias."""
    span_type = SpanTypeSchemaForCreate(name="llm", params_schema={"type": "object"})
    quality = QualitySchemaForCreate(name="q", schema_={"type": "object"})
    version = AgentVersionForRegister(name="Bot", runtime_environment=RuntimeEnvironment(os="x"))
    full = AgentSchemaVersionForRegister(span_type_schemas=[span_type], quality_schemas=[quality])
    expected = {
        "span_type_schemas": [{"name": "llm", "params_schema": {"type": "object"}}],
        "quality_schemas": [{"name": "q", "schema": {"type": "object"}}],
    }
    await register(client, "a", version, full)
    await register(
        client,
        "a",
        {"name": "Bot", "runtime_environment": RuntimeEnvironment(os="x")},
        {
            "span_type_schemas": [span_type],
            "quality_schemas": [quality.model_dump(exclude_none=True)],
        },
    )
    for request in server.requests:
        assert request.json["agent_version"] == {"name": "Bot", "runtime_environment": {"os": "x"}}
        assert request.json["agent_schema_version"] == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"agent_id": 7},
        {"agent_version": {"name": 7}},
        {"agent_schema_version": {"span_type_schemas": [{"name": "no schema"}]}},
        {"purpose": "fun"},
    ],
)
async def test_register_checks_before_sending(
    client: PrefactorHttpClient, server: ScriptedServer, wrong: dict[str, Any]
) -> None:
    """What the API would refuse raises before anything is sent."""
    with pytest.raises(ValidationError):
        await client.agent_instances.register(**wrong)
    assert server.requests == []


async def test_start(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """The timestamp is always sent, as null or with an offset; the result is active."""
    first, second = server.add_instance(status="pending"), server.add_instance(status="pending")
    started = await client.agent_instances.start(first, idempotency_key=KEY)
    moment = datetime(2026, 4, 13, 0, 46)  # noqa: DTZ001 - naive on purpose
    await client.agent_instances.start(second, timestamp=moment, idempotency_key="key-2")
    assert started.status == "active"
    assert server.requests[0].json == {"timestamp": None, "idempotency_key": KEY}
    assert server.requests[1].json["timestamp"] == "2026-04-13T00:46:00+00:00"
    with pytest.raises(PrefactorConflictError):
        await client.agent_instances.start(first)


async def test_finish(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A bare finish sends only its key, and a status is sent when given."""
    first, second = server.add_instance(), server.add_instance()
    finished = await client.agent_instances.finish(first)
    failed = await client.agent_instances.finish(second, "failed", "2026-04-13T00:00:00Z", KEY)
    assert (finished.status, failed.status) == ("complete", "failed")
    bare, full = (request.json for request in server.requests)
    assert set(bare) == {"idempotency_key"}
    assert str(UUID(bare["idempotency_key"])) == bare["idempotency_key"]
    assert full == {"status": "failed", "timestamp": "2026-04-13T00:00:00Z", "idempotency_key": KEY}
    wrong: Any = "active"
    with pytest.raises(ValidationError):
        await client.agent_instances.finish(first, wrong)


@pytest.mark.parametrize("method", ["register", "start", "finish"])
async def test_long_keys_are_refused(
    client: PrefactorHttpClient, server: ScriptedServer, method: str
) -> None:
    """64 characters pass, 65 raise before anything is sent."""
    call: Any = getattr(client.agent_instances, method)
    server.script(Reply(404, {}))
    with pytest.raises(PrefactorNotFoundError):
        await call("i", idempotency_key="k" * 64)
    with pytest.raises(ValueError, match="must be at most 64 characters, got 65"):
        await call("i", idempotency_key="k" * 65)
    assert len(server.requests) == 1


async def test_get_and_errors(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A run can be read; an unknown one raises not found."""
    instance = await client.agent_instances.get(server.add_instance())
    assert (instance.status, instance.span_counts) != (None, None)
    assert instance.raw["id"] == instance.id
    with pytest.raises(PrefactorNotFoundError):
        await client.agent_instances.get("nobody")


async def test_show(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A run is found by either identifier, with only the requested figures."""
    run = {"type": "agent_instance", "id": "r", "account_id": "a", "agent_id": "b", "status": "new"}
    run |= {"agent_version_id": "v", "environment_id": "e", "raised_alert_count": 2}
    run |= dict.fromkeys(("inserted_at", "updated_at", "last_activity_span_at"), MOMENT)
    server.script(*[Reply(200, {"details": run})] * 2)
    found = await client.agent_instances.show(external_identifier="nightly", include_costs=False)
    await client.agent_instances.show(agent_instance_id="r", include_alert_count=True)
    assert (found.id, found.raised_alert_count) == ("r", 2)
    assert found.last_activity_span_at == found.inserted_at
    for given in ({}, {"agent_instance_id": "r", "external_identifier": "nightly"}):
        with pytest.raises(PrefactorRequestError, match="exactly one"):
            await client.agent_instances.show(**given)
    named, by_id = server.requests
    assert named.path == by_id.path == "/api/v1/agent_instance/show"
    assert dict(named.query) == {"external_identifier": "nightly", "include_costs": "false"}
    assert dict(by_id.query) == {"agent_instance_id": "r", "include_alert_count": "true"}


async def test_terminate(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A run is stopped with a reason, and the unknown status is no error."""
    instance = server.add_instance()
    stopped = await client.agent_instances.terminate(instance, "too expensive", KEY)
    assert (stopped.status, stopped.termination_reason) == ("terminated", "too expensive")
    assert server.requests[0].json == {"reason": "too expensive", "idempotency_key": KEY}
    with pytest.raises(ValueError, match="reason"):
        await client.agent_instances.terminate(instance, "  ")


async def test_agent_context(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """The export is returned unchanged."""
    server.script(Reply(200, {"status": "success", "agent_context": {"body": [1]}}))
    assert await client.agent_instances.agent_context("i") == {"body": [1]}
    server.script(Reply(200, {"status": "success"}))
    with pytest.raises(PrefactorResponseContractError):
        await client.agent_instances.agent_context("i")


async def test_the_skeleton_of_a_run(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """All spans come as columns, and fields unknown to this version are kept."""
    columns = {
        "id": ["a", "b"],
        "parent": [None, 0],
        "schema": [0, 0],
        "status": ["complete", "a-new-status"],
        "started_at": [5, None],
        "duration": [10, None],
        "summary": ["A", None],
        "flags": [0, 2],
        "a_new_column": [1, 2],
    }
    skeleton = {
        "type": "agent_instance_skeleton",
        "agent_instance_id": "i",
        "total": 2,
        "origin": "2026-01-02T00:00:00.000000Z",
        "schemas": [{"name": "step", "title": None}],
        "flag_values": {"unregistered_type": 2},
        "columns": columns,
    }
    server.script(Reply(200, {"status": "success", "details": skeleton}))
    found = await client.agent_instances.skeleton("a/b")
    assert server.requests[0].target == f"{PATH}/a%2Fb/skeleton"
    assert (found.total, found.schemas[0].name) == (2, "step")
    assert (found.columns.parent, found.columns.schema_) == ([None, 0], [0, 0])
    assert found.columns.status[1] == "a-new-status"
    assert found.raw["columns"]["a_new_column"] == [1, 2]
    assert found.origin is not None
    server.script(Reply(200, {"status": "success", "details": {**skeleton, "columns": None}}))
    with pytest.raises(PrefactorResponseContractError):
        await client.agent_instances.skeleton("i")


@pytest.mark.parametrize("method", ["get", "start", "finish"])
@pytest.mark.parametrize("id_", ["..", ".", ""])
async def test_impossible_ids(client: PrefactorHttpClient, method: str, id_: str) -> None:
    """An id that a URL would resolve to another place is refused."""
    with pytest.raises(PrefactorRequestError):
        await getattr(client.agent_instances, method)(id_)


async def test_heartbeats(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A heartbeat names runs, has no key, and returns the control signals of terminated ones."""
    going, stopped = server.add_instance(), server.add_instance()
    await client.agent_instances.terminate(stopped, "enough")
    heard = await client.agent_instances.heartbeat([going, stopped, "nobody"])
    sent = server.requests[-1]
    assert (sent.method, sent.path) == ("POST", f"{PATH}/heartbeat")
    assert sent.json == {"ids": [going, stopped, "nobody"]}
    assert "idempotency-key" not in sent.headers
    assert heard.unknown_ids == ["nobody"]
    assert {one: control.reason for one, control in heard.controls.items()} == {stopped: "enough"}
    with pytest.raises(PrefactorValidationError):
        await client.agent_instances.heartbeat(())


async def test_many_runs_are_terminated(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """Filters are sent as the API spells them, first for a dry run and then with the runs."""
    shown = {
        "type": "agent_instance_terminations",
        "dry_run": True,
        "matching": 2,
        "matching_is_exact": True,
        "ids": ["r-1", "r-2"],
        "terminated": [],
        "skipped": [],
    }
    skipped = [{"id": "r-2", "why": "not_active"}]
    done = {**shown, "dry_run": False, "ids": [], "terminated": ["r-1"], "skipped": skipped}
    for reply in (shown, done):
        server.script(Reply(200, {"status": "success", "details": reply}))
    chosen: dict[str, Any] = {"abandoned": True, "min_duration": 1.5, "metadata": {"release": "v1"}}
    found = await client.agent_instances.terminate_many(dry_run=True, **chosen)
    ended = await client.agent_instances.terminate_many(found.ids, "stuck", **chosen)
    filters = {"abandoned": True, "min_duration": "1.500000", "metadata[release]": "v1"}
    assert [one.json for one in server.requests] == [
        {"filters": filters, "dry_run": True},
        {"filters": filters, "dry_run": False, "ids": ["r-1", "r-2"], "reason": "stuck"},
    ]
    assert {one.path for one in server.requests} == {f"{PATH}/terminate_many"}
    assert (ended.terminated, ended.skipped[0].why) == (["r-1"], "not_active")
