"""Everything besides runs: agents, versions, deployments, environments, tokens, accounts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from pydantic import ValidationError

from prefactor_http import (
    AgentForCreate,
    PrefactorHttpClient,
    QualitySchemaForCreate,
    RiskProfileForUpdate,
    RuntimeEnvironment,
    SpanTypeSchemaForCreate,
)
from prefactor_http.testing import Reply, ScriptedServer

KEY = "key-1"
RESOURCES = {
    "accounts": "account",
    "admin_users": "admin_user",
    "agents": "agent",
    "agent_deployments": "agent_deployment",
    "agent_schema_versions": "agent_schema_version",
    "agent_versions": "agent_version",
    "api_tokens": "api_token",
    "environments": "environment",
    "risk_profiles": "risk_profile",
}
NEEDS_AGENT = {"agent_deployments", "agent_schema_versions", "agent_versions"}


def details(kind: str, id_: str = "x1") -> dict[str, Any]:
    """The minimal response about a resource."""
    return {"type": kind, "id": id_}


@pytest.mark.parametrize(("attribute", "kind"), [("agents", "agent"), ("accounts", "account")])
async def test_series(
    client: PrefactorHttpClient, server: ScriptedServer, attribute: str, kind: str
) -> None:
    """A series is requested with the given arguments, and read with its parts."""
    durations = {"measured": [0, 2], "p50": [None, 3.5], "p95": [None, 4], "p99": [None, 4]}
    ended = {status: [0, 2] for status in ("complete", "failed", "cancelled", "terminated")}
    said = {
        "type": "series",
        "account_id": "a",
        "bucket": "hour",
        "start_time": "2026-05-04T08:00:00Z",
        "end_time": "2026-05-04T10:00:00Z",
        "starts": ["2026-05-04T08:00:00Z", "2026-05-04T09:00:00Z"],
        "runs": {**ended, "durations": durations},
        "span_types": [
            {"schema_name": "x:llm", "spans": [0, 2], "failed": [0, 0], "durations": durations}
        ],
        "models": [
            {
                "model": None,
                "prompt_tokens": [0, 5],
                "completion_tokens": [0, 0],
                "total_tokens": [0, 5],
                "unpriced_spans": [0, 1],
            }
        ],
    }
    server.script(Reply(200, {"details": said}))

    series = await getattr(client, attribute).series(
        "a/b", bucket="hour", start_time=datetime(2026, 5, 4, 8, tzinfo=UTC), environment_id="e"
    )

    assert series.complete_from is None
    assert series.starts[1] == datetime(2026, 5, 4, 9, tzinfo=UTC)
    assert series.runs.durations.p50 == [None, 3.5]
    assert series.span_types[0].durations.measured == [0, 2]
    assert series.models[0].cost is None
    path, _, query = server.requests[0].target.partition("?")
    assert path == f"/api/v1/{kind}/a%2Fb/series"
    assert dict(parse_qsl(query)) == {
        "bucket": "hour",
        "start_time": "2026-05-04T08:00:00+00:00",
        "environment_id": "e",
    }


@pytest.mark.parametrize(("attribute", "kind"), RESOURCES.items())
async def test_reading(
    client: PrefactorHttpClient, server: ScriptedServer, attribute: str, kind: str
) -> None:
    """Each resource can be read by id, by page and whole; its client is created once."""
    resource: Any = getattr(client, attribute)
    assert resource is getattr(client, attribute)
    filters = {"agent_id": "a"} if attribute in NEEDS_AGENT else {}
    pagination = {"next_page_offset": 1, "page_offset": 0}
    page = {"summaries": [details(kind)], "pagination": pagination, "sorting": None}
    last = {"summaries": [details(kind, "x2")], "pagination": None, "sorting": None}
    server.script(
        Reply(200, {"details": details(kind)}), Reply(200, page), Reply(200, page), Reply(200, last)
    )

    one = await resource.get("a/b")
    some = await resource.list(**filters, page_size=1, sorting="-id")
    every = [row.id async for row in resource.iterate(**filters, page_size=1)]

    assert (one.id, [row.id for row in some], every) == ("x1", ["x1"], ["x1", "x2"])
    get, listed, first, second = server.requests
    assert get.target == f"/api/v1/{kind}/a%2Fb"
    assert {listed.path, first.path, second.path} == {f"/api/v1/{kind}"}
    assert filters.items() <= listed.query.items()
    assert listed.query["sorting[direction]"] == "desc"
    assert second.query["pagination[offset]"] == "1"


CREATIONS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("environments", {"name": "n"}, {"name": "n"}),
    (
        "agent_deployments",
        {"agent_id": "a", "environment_id": "e"},
        {"agent_id": "a", "environment_id": "e"},
    ),
    (
        "agent_versions",
        {
            "agent_id": "a",
            "external_identifier": "1",
            "runtime_environment": RuntimeEnvironment(os="linux"),
        },
        {"agent_id": "a", "external_identifier": "1", "runtime_environment": {"os": "linux"}},
    ),
    (
        "agent_schema_versions",
        {
            "agent_id": "a",
            "external_identifier": "1",
            "span_type_schemas": [SpanTypeSchemaForCreate(name="n", params_schema={})],
            "quality_schemas": [QualitySchemaForCreate(name="q", schema_={}), {"name": "raw"}],
        },
        {
            "agent_id": "a",
            "external_identifier": "1",
            "span_type_schemas": [{"name": "n", "params_schema": {}}],
            "quality_schemas": [{"name": "q", "schema": {}}, {"name": "raw"}],
        },
    ),
    (
        "risk_profiles",
        {"name": "n", "thresholds": {"high": 5}},
        {"name": "n", "thresholds": {"high": 5}},
    ),
]


@pytest.mark.parametrize(("attribute", "given", "sent"), CREATIONS)
async def test_creating(
    client: PrefactorHttpClient,
    server: ScriptedServer,
    attribute: str,
    given: dict[str, Any],
    sent: dict[str, Any],
) -> None:
    """A creation sends the given fields under `details`, with its key in body and header."""
    kind = RESOURCES[attribute]
    server.script(Reply(200, {"details": details(kind)}))
    created = await getattr(client, attribute).create(**given, idempotency_key=KEY)
    assert created.id == "x1"
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", f"/api/v1/{kind}")
    assert request.json == {"details": sent, "idempotency_key": KEY}
    assert request.headers["idempotency-key"] == KEY


async def test_a_new_token_is_shown_once(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A new token is returned with its record, and not printed."""
    server.script(Reply(200, {"details": details("api_token"), "token": "pf_secret"}))
    created = await client.api_tokens.create(
        token_scope="account", expires_at="2027-01-01T00:00:00Z"
    )
    assert created.token == "pf_secret"
    assert "pf_secret" not in repr(created)
    assert server.requests[0].json["details"] == {
        "token_scope": "account",
        "expires_at": "2027-01-01T00:00:00Z",
    }


@pytest.mark.parametrize("action", ["suspend", "activate", "revoke"])
async def test_token_actions(
    client: PrefactorHttpClient, server: ScriptedServer, action: str
) -> None:
    """A token is suspended, activated and revoked by its id, under a key."""
    server.script(Reply(200, {"details": details("api_token")}))
    await getattr(client.api_tokens, action)("x1", KEY)
    assert server.requests[0].target == f"/api/v1/api_token/x1/{action}"
    assert server.requests[0].json == {"idempotency_key": KEY}


@pytest.mark.parametrize(
    ("attribute", "changes"),
    [
        ("accounts", {"name": "n"}),
        ("environments", {"name": "n"}),
        ("agent_deployments", {"current_version_id": None}),
    ],
)
async def test_updating(
    client: PrefactorHttpClient, server: ScriptedServer, attribute: str, changes: dict[str, Any]
) -> None:
    """A change is a PUT of the changed fields; None is sent as null."""
    kind = RESOURCES[attribute]
    server.script(Reply(200, {"details": details(kind)}))
    await getattr(client, attribute).update("x1", **changes, idempotency_key=KEY)
    request = server.requests[0]
    assert (request.method, request.target) == ("PUT", f"/api/v1/{kind}/x1")
    assert request.json == {"details": changes, "idempotency_key": KEY}


@pytest.mark.parametrize(
    "attribute", ["agents", "agent_deployments", "environments", "api_tokens", "risk_profiles"]
)
async def test_deleting(
    client: PrefactorHttpClient, server: ScriptedServer, attribute: str
) -> None:
    """A deletion returns what was deleted if the server sends it, and otherwise None."""
    kind = RESOURCES[attribute]
    server.script(Reply(200, {"details": details(kind)}), Reply(204))
    assert (await getattr(client, attribute).delete("x1")).id == "x1"
    assert await getattr(client, attribute).delete("x1") is None
    assert {request.method for request in server.requests} == {"DELETE"}


async def test_a_risk_profile_is_updated(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A change takes a dict or a model; missing fields are not sent, and None is sent as null."""
    server.script(*[Reply(200, {"details": details("risk_profile")})] * 2)
    changes = RiskProfileForUpdate(name="n", agreed_risk=None)
    await client.risk_profiles.update("x1", changes, KEY)
    await client.risk_profiles.update("x1", {"thresholds": {"high": 5}})
    first, second = server.requests
    assert (first.method, first.target) == ("PUT", "/api/v1/risk_profile/x1")
    assert first.json == {"details": {"name": "n", "agreed_risk": None}, "idempotency_key": KEY}
    assert first.headers["idempotency-key"] == KEY
    assert second.json["details"] == {"thresholds": {"high": 5}}
    with pytest.raises(ValidationError):
        await client.risk_profiles.update("x1", {"thresholds": 5})
    assert len(server.requests) == 2


async def test_an_agent_has_the_rollup_of_its_answer(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """The agent has the risk rollup of its answer, or None if the server sent none."""
    rollup = {"observed_risk": {"max_score": 5}, "theoretical_risk": {"max_score": None}}
    shown = {"details": details("agent"), "risk_rollup": rollup}
    server.script(Reply(200, shown), Reply(200, shown), Reply(200, {"details": details("agent")}))
    got = await client.agents.get("a", include_risk_rollup=True)
    found = await client.agents.show(agent_id="a", include_risk_rollup=True)
    assert got.risk_rollup == found.risk_rollup == rollup
    assert (await client.agents.get("a")).risk_rollup is None


async def test_a_template_is_read_by_its_name(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A template is read by name or by default, and a ruleset is sent unchanged."""
    ruleset = {"category_weights": {"minors_data": None}}
    template = {"type": "risk_profile_template", "name": "default", "ruleset": ruleset}
    server.script(*[Reply(200, {"details": template})] * 2)
    server.script(Reply(200, {"details": details("risk_profile") | {"ruleset": ruleset}}))
    first = await client.risk_profiles.template("default")
    await client.risk_profiles.template()
    made = await client.risk_profiles.create(name="n", ruleset=ruleset)
    assert (first.name, first.ruleset, made.ruleset) == ("default", ruleset, ruleset)
    named, bare, create = server.requests
    assert (named.path, dict(named.query)) == (
        "/api/v1/risk_profile/template",
        {"template_name": "default"},
    )
    assert not bare.query
    assert create.json["details"] == {"name": "n", "ruleset": ruleset}


async def test_agents(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Agents are created from a model or a dict, found by either identifier, and reinstated."""
    reply = Reply(200, {"details": details("agent")})
    server.script(*[reply] * 6)
    await client.agents.create(AgentForCreate(name="n", team_id="t"), KEY)
    await client.agents.create({"name": "n", "description": None})
    await client.agents.show(external_identifier="ext", include_counts=True)
    await client.agents.get("a1", include_risk_rollup=False)
    await client.agents.retire("a1")
    await client.agents.reinstate("a1")
    first, second, show, get, retire, reinstate = server.requests
    assert first.json == {"details": {"name": "n", "team_id": "t"}, "idempotency_key": KEY}
    assert second.json["details"] == {"name": "n", "description": None}
    assert show.path == "/api/v1/agent/show"
    assert dict(show.query) == {"external_identifier": "ext", "include_counts": "true"}
    assert dict(get.query) == {"include_risk_rollup": "false"}
    assert (retire.target, reinstate.target) == (
        "/api/v1/agent/a1/retire",
        "/api/v1/agent/a1/reinstate",
    )


async def test_agents_are_checked_before_sending(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """An agent without a name, or a search by both identifiers or neither, is refused locally."""
    with pytest.raises(ValidationError):
        await client.agents.create({"description": "nameless"})
    for identifiers in ({}, {"agent_id": "a", "external_identifier": "b"}):
        with pytest.raises(ValueError, match="exactly one"):
            await client.agents.show(**identifiers)
    assert server.requests == []


async def test_the_older_list_of_agents(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """`list_agents` keeps its positional arguments and sorting, and honours the page."""
    page = {"summaries": [details("agent")], "pagination": {"item_count": 9}, "sorting": None}
    server.script(Reply(200, page))
    agents = await client.agents.list_agents(None, "null", None, "-name", 5, 2)
    assert agents.pagination is not None
    assert agents.pagination.item_count == 9
    assert dict(server.requests[0].query) == {
        "team_id": "null",
        "sorting": "-name",
        "pagination[offset]": "5",
        "pagination[page_size]": "2",
    }
