"""Alerts across the packages: raised and read by the client, and raised by a real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from live_server import LiveServer
from patience import patience
from prefactor_http import (
    Alert,
    HttpClientConfig,
    PrefactorHttpClient,
    PrefactorNotFoundError,
    PrefactorValidationError,
)

SCHEMA = {"name": "slow", "schema": {}, "severity": "critical", "template": "{{ seconds }} s"}


@pytest.fixture
async def client(live_server: LiveServer) -> AsyncIterator[PrefactorHttpClient]:
    """A client of the server that the tests share."""
    async with PrefactorHttpClient(HttpClientConfig(live_server.url, live_server.token)) as client:
        yield client


async def test_alerts_are_raised_found_and_cleared(client: PrefactorHttpClient) -> None:
    """The client finds the alerts it raised by filters, counts and reads them, and clears them."""
    run = await client.agent_instances.register(
        "alerts", agent_schema_version={"span_type_schemas": [], "alert_schemas": [SCHEMA]}
    )

    raised = await client.alerts.raise_(run.id, "slow", {"seconds": 9})
    again = await client.alerts.raise_(run.id, "slow", severity="info")
    other = await client.alerts.raise_(run.id, "other")
    filters = {"agent_instance_id": run.id}
    critical = await client.alerts.list(severity="critical", **filters)
    before = await client.alerts.count(status="raised", **filters)
    cleared = await client.alerts.clear(run.id, "slow")

    assert (raised.severity, raised.summary, raised.payload) == ("critical", "9 s", {"seconds": 9})
    assert (again.id, again.version, again.severity) == (raised.id, 2, "info")
    assert (list(critical), before.count) == ([], 2)
    assert await client.alerts.get(raised.id) == cleared
    assert cleared.cleared_at is not None
    found = [one async for one in client.alerts.iterate(**filters, sorting="raised_at")]
    assert found == [cleared, other]
    with pytest.raises(PrefactorNotFoundError):
        await client.alerts.clear(run.id, "slow")
    with pytest.raises(PrefactorValidationError, match="reserved"):
        await client.alerts.raise_(run.id, "run.failed")


async def test_a_server_raises_its_own_alerts(client: PrefactorHttpClient) -> None:
    """Soon after a run failed, a running server has raised an alert, which can be cleared."""
    run = await client.agent_instances.register("alerts")
    await client.agent_instances.start(run.id)
    await client.agent_instances.finish(run.id, "failed")

    found: list[Alert] = []
    async with asyncio.timeout(patience(30)):
        while not found:
            found = [one async for one in client.alerts.iterate(agent_instance_id=run.id)]
    shown = await client.agent_instances.show(agent_instance_id=run.id)
    cleared = await client.alerts.clear(run.id, "run.failed")

    assert [(one.name, one.kind, one.status) for one in found] == [
        ("run.failed", "run_failed", "raised")
    ]
    assert shown.raw["raised_alert_count"] == 1
    assert (cleared.id, cleared.status) == (found[0].id, "cleared")
