"""Runs: what each method sends, to the field, and what it gives back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
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
    """Register a run under a known key; its id."""
    return (await client.agent_instances.register(*args, idempotency_key=KEY, **kwargs)).id


async def test_register_by_position(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """The published positional order works, and only what is given is sent."""
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
    """A deployment token carries the agent, so everything may be left out."""
    await register(client)
    assert server.requests[0].json == {"update_current_version": True, "idempotency_key": KEY}


async def test_register_with_empty_parts(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """Empty objects are sent as such, and keyword-only additions beside them."""
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
    """What the API would refuse fails here, before anything is sent."""
    with pytest.raises(ValidationError):
        await client.agent_instances.register(**wrong)
    assert server.requests == []


async def test_start(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """The timestamp is always there, as null or with an offset; the answer is active."""
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
    """A bare finish sends its key and nothing else; a status is sent when given."""
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
    """A run can be read; one that is not there is not found."""
    instance = await client.agent_instances.get(server.add_instance())
    assert (instance.status, instance.span_counts) != (None, None)
    assert instance.raw["id"] == instance.id
    with pytest.raises(PrefactorNotFoundError):
        await client.agent_instances.get("nobody")


async def test_show(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A run is found by either identifier, with the figures that are asked for and no others."""
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


async def test_record_quality(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A judgement is recorded under its name, and None removes it."""
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
    """Metadata is given at registration, changed key by key, shown and filtered by."""
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


async def test_agent_context(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """The export is passed on as it is."""
    server.script(Reply(200, {"status": "success", "agent_context": {"body": [1]}}))
    assert await client.agent_instances.agent_context("i") == {"body": [1]}
    server.script(Reply(200, {"status": "success"}))
    with pytest.raises(PrefactorResponseContractError):
        await client.agent_instances.agent_context("i")


async def test_runs_are_found_by_every_filter(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """Filters are sent as the API spells them, whatever a caller writes them as."""
    server.script(Reply(200, {"summaries": [], "pagination": None, "sorting": None}))
    await client.agent_instances.list(
        agent_ids=["a", "b"],
        finished_after="2026-01-01T00:00:00Z",
        finished_before=datetime(2026, 1, 2, tzinfo=UTC),
        min_duration=0.0000015,
        max_duration=90,
        has_failed_spans=False,
        min_cost=0.0005,
    )
    query = dict(parse_qsl(server.requests[0].target.partition("?")[2]))
    assert query == {
        "agent_ids": "a,b",
        "finished_after": "2026-01-01T00:00:00Z",
        "finished_before": "2026-01-02T00:00:00+00:00",
        "min_duration": "0.000002",
        "max_duration": "90",
        "has_failed_spans": "false",
        "min_cost": "0.000500000",
    }


async def test_a_run_that_was_searched_for_says_where_it_matched(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A run on a list that was asked for a text names the span, and the text around the words."""
    match = {"span_id": "s", "snippet": "…to <Paris>", "truncated": True}
    ids = ("id", "account_id", "agent_id", "agent_version_id", "environment_id")
    times = {"inserted_at": MOMENT, "updated_at": MOMENT}
    run = {
        "type": "agent_instance",
        "status": "active",
        **dict.fromkeys(ids, "x"),
        **times,
        "match": match,
    }
    search = {"behind_seconds": 0.5, "complete": True, "limited": False}
    reply = {"summaries": [run], "pagination": None, "sorting": None, "search": search}
    server.script(Reply(200, reply))
    page = await client.agent_instances.list(text="paris")
    assert server.requests[0].target.endswith("?text=paris")
    assert page[0].match is not None
    assert (page[0].match.snippet, page[0].match.truncated) == ("…to <Paris>", True)
    assert page.raw["search"] == search


async def test_the_facets_of_runs(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Facets come by the name of their filter, also those that this version does not know."""
    facets = {
        "type": "agent_instance_facets",
        "item_count": 3,
        "complete": False,
        "facets": {
            "status": {"values": [{"value": "failed", "count": 3}], "more": 2},
            "new": {"values": []},
        },
    }
    server.script(Reply(200, {"status": "success", "details": facets}))
    found = await client.agent_instances.facets(agent_ids=("a",), started_after="2026-01-01")
    target = server.requests[0].target
    assert target.startswith(f"{PATH}/facets?")
    assert "agent_ids=a" in target
    assert (found.item_count, found.complete) == (3, False)
    assert (found.facets["status"].values[0].count, found.facets["status"].more) == (3, 2)
    assert found.facets["new"].values == []


async def test_the_skeleton_of_a_run(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """All spans come as columns; what this version does not know is kept and no error."""
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


async def test_filters(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Filters, order and page are sent in the form every server knows."""
    empty = {"status": "success", "summaries": [], "pagination": None, "sorting": None}
    server.script(Reply(200, empty), Reply(200, empty))
    moment = datetime(2026, 4, 13)  # noqa: DTZ001 - naive on purpose
    page = await client.agent_instances.list(
        agent_id="a", started_after=moment, sorting="-id", offset=5, page_size=7
    )
    assert (page, page.pagination, page.sorting) == ([], None, None)
    [_ async for _ in client.agent_instances.iterate(agent_id="a", started_after=moment)]
    listed, walked = (dict(request.query) for request in server.requests)
    assert listed == {
        "agent_id": "a",
        "started_after": "2026-04-13T00:00:00+00:00",
        "sorting[field]": "id",
        "sorting[direction]": "desc",
        "pagination[offset]": "5",
        "pagination[page_size]": "7",
    }
    assert walked == {
        "agent_id": "a",
        "started_after": "2026-04-13T00:00:00+00:00",
        "pagination[page_size]": "100",
    }


@pytest.mark.parametrize("method", ["get", "start", "finish"])
@pytest.mark.parametrize("id_", ["..", ".", ""])
async def test_ids_that_are_none(client: PrefactorHttpClient, method: str, id_: str) -> None:
    """What a URL would resolve to another place is refused."""
    with pytest.raises(PrefactorRequestError):
        await getattr(client.agent_instances, method)(id_)


async def test_the_only_judgement(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """`update` sends a judgement without a name, and None to remove it, under a key."""
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


async def test_heartbeats(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A heartbeat names runs, has no key, and brings the control signals of terminated ones."""
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
