"""Alerts in the client: what is sent, and how replies are read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from prefactor_http import AlertSchemaForCreate, PrefactorRequestError
from prefactor_http.testing import Reply, ScriptedServer

if TYPE_CHECKING:
    from prefactor_http import PrefactorHttpClient

KEY = "key-1"
ALERT = {"type": "alert", "id": "x1", "severity": "warning", "status": "raised"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"payload": {"a": 1}, "severity": "info"}, {"payload": {"a": 1}, "severity": "info"}),
    ],
)
async def test_raising(
    client: PrefactorHttpClient, server: ScriptedServer, given: Any, sent: Any
) -> None:
    """Raising sends the given fields, under a key."""
    server.script(Reply(200, {"details": {**ALERT, "raised_at": "2026-01-01T00:00:00Z"}}))

    raised = await client.alerts.raise_("r1", "slow", **given, idempotency_key=KEY)

    assert (raised.id, raised.raised_at) == ("x1", datetime(2026, 1, 1, tzinfo=UTC))
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/api/v1/alerts/raise")
    named = {"agent_instance_id": "r1", "name": "slow", "idempotency_key": KEY}
    assert request.json == {**named, **sent}
    assert request.headers["idempotency-key"] == KEY


async def test_clearing_and_reading(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """An alert is cleared by run and name, and read by id; unknown enum values are kept."""
    server.script(
        Reply(200, {"details": {**ALERT, "status": "cleared"}}),
        Reply(200, {"details": {**ALERT, "status": "snoozed"}}),
    )

    cleared = await client.alerts.clear("r1", "slow", idempotency_key=KEY)
    read = await client.alerts.get("a/b")

    assert (cleared.status, read.status) == ("cleared", "snoozed")
    clear, get = server.requests
    assert (clear.method, clear.path) == ("POST", "/api/v1/alerts/clear")
    assert clear.json == {"agent_instance_id": "r1", "name": "slow", "idempotency_key": KEY}
    assert (get.method, get.target) == ("GET", "/api/v1/alerts/a%2Fb")


async def test_lists_and_counts_have_the_same_filters(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A page, the count and an iteration send the same parameters."""
    page = {"summaries": [ALERT], "pagination": None, "sorting": None}
    count = {"status": "success", "count": 3, "complete": False}
    server.script(Reply(200, page), Reply(200, count), Reply(200, page))
    filters: dict[str, Any] = {
        "status": "raised",
        "severity": "critical",
        "name": "slow",
        "agent_id": "a",
        "agent_instance_id": "r1",
        "environment_id": "e",
        "active_from": datetime(2026, 1, 1, tzinfo=UTC),
        "active_until": "2026-01-02T00:00:00Z",
        "window_days": 3,
    }

    listed = await client.alerts.list(**filters, sorting="-raised_at")
    counted = await client.alerts.count(**filters)
    walked = [one.id async for one in client.alerts.iterate(**filters)]

    assert ([one.id for one in listed], walked) == (["x1"], ["x1"])
    assert (counted.count, counted.complete) == (3, False)
    asked = [request.query for request in server.requests]
    assert asked[1] == {
        "status": "raised",
        "severity": "critical",
        "name": "slow",
        "agent_id": "a",
        "agent_instance_id": "r1",
        "environment_id": "e",
        "active_during[start_at]": "2026-01-01T00:00:00+00:00",
        "active_during[end_at]": "2026-01-02T00:00:00Z",
        "window_days": "3",
    }
    assert asked[0] | asked[1] == asked[0]
    assert asked[2] | asked[1] == asked[2]
    assert [request.path for request in server.requests][1] == "/api/v1/alerts/count"


async def test_invalid_values_are_refused(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """An unknown severity and an empty name are refused before anything is sent."""
    severity: Any = "dreadful"
    with pytest.raises(PrefactorRequestError, match="severity"):
        await client.alerts.raise_("r1", "slow", severity=severity)
    for call in (client.alerts.raise_, client.alerts.clear):
        with pytest.raises(PrefactorRequestError, match="name"):
            await call("r1", "")
    assert server.requests == []


async def test_alert_schemas_are_declared(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A schema version is created with alert schemas, given as dicts or models."""
    server.script(Reply(200, {"details": {"type": "agent_schema_version", "id": "x1"}}))
    schema = AlertSchemaForCreate(name="slow", schema={}, severity="info")

    await client.agent_schema_versions.create(
        agent_id="a", external_identifier="s", alert_schemas=[schema, {"name": "other"}]
    )

    declared = server.requests[0].json["details"]["alert_schemas"]
    assert declared == [{"name": "slow", "schema": {}, "severity": "info"}, {"name": "other"}]
