"""The server, its prices, and score previews: what is sent, and what is read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from prefactor_http import RiskProfileForUpdate
from prefactor_http.testing import Reply

if TYPE_CHECKING:
    from prefactor_http import PrefactorHttpClient
    from prefactor_http.testing import ScriptedServer

PRICE = {"model": "small-*", "prompt": 0.15, "completion": 0.6}
LIMITED = {"now": 1, "limit": None}
SERVER: dict[str, Any] = {
    "type": "server",
    "version": "1.0.0",
    "host": "a-host",
    "pid": 7,
    "now": "2026-01-01T00:00:01.000000Z",
    "started_at": "2026-01-01T00:00:00.000000Z",
    "uptime_seconds": 1.0,
    "ready": False,
    "problem": "The disk is full",
    "has_secret_key": True,
    "database": {
        "kind": "SQLite",
        "version": "3.46",
        "schema_version": 19,
        "size_bytes": 4096,
        "free_disk_bytes": 0,
    },
    "queue": {"bytes": {"now": 2, "limit": 100}, "requests": 1},
    "buffered_bytes": LIMITED,
    "connections": LIMITED,
    "event_streams": LIMITED,
    "requests": {"answered": 9, "rejected": 2, "failed": 0},
    "feed": {
        "position": 12,
        "consumers": [
            {
                "name": "search",
                "position": 10,
                "behind": 2,
                "behind_seconds": 0.5,
                "complete": True,
            }
        ],
    },
}


async def test_the_server_is_shown(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """The server's status is read into its parts."""
    server.script(Reply(200, {"details": SERVER}))

    shown = await client.server.show()

    assert server.requests[0].target == "/api/v1/server"
    assert shown.started_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert (shown.ready, shown.problem) == (False, "The disk is full")
    assert (shown.queue.bytes.now, shown.queue.bytes.limit) == (2, 100)
    assert shown.feed.consumers[0].behind == shown.feed.position - shown.feed.consumers[0].position


@pytest.mark.parametrize(
    ("models", "query"), [([], {}), (["large", "small-1"], {"models": "large,small-1"})]
)
async def test_prices_are_listed(
    client: PrefactorHttpClient, server: ScriptedServer, models: list[str], query: dict[str, str]
) -> None:
    """Models are requested by name, and one without a price has None."""
    found = [{"model": "large", "price": None}, {"model": "small-1", "price": PRICE}]
    table = {"type": "price_table", "file": "p.toml", "currency": "USD", "prices": [PRICE]}
    server.script(Reply(200, {"details": {**table, "models": found[: len(models)]}}))

    shown = await client.server.prices(models)

    assert dict(server.requests[0].query) == query
    assert (shown.file, shown.prices[0].completion) == ("p.toml", 0.6)
    assert [one.price is None for one in shown.models] == [True, False][: len(models)]


async def test_a_profile_is_previewed(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Exactly the given rules are previewed on the runs, without a key."""
    score = {"score": 41.0, "level": "high", "exceeds_agreed_risk": True}
    run = {"agent_instance_id": "r", "agent_id": "a", "risk_profile_id": None}
    said = {
        "type": "risk_profile_preview",
        "risk_profile_id": "p",
        "runs": [{**run, "now": None, "preview": score}],
        "derived": {"behind_seconds": 0.0, "complete": True},
    }
    server.script(Reply(200, {"details": said}))
    rules = RiskProfileForUpdate(agreed_risk=None, thresholds={"high": 9})

    shown = await client.risk_profiles.preview(["r"], rules, risk_profile_id="p")

    assert server.requests[0].target == "/api/v1/risk_profile/preview"
    assert server.requests[0].json == {
        "agent_instance_ids": ["r"],
        "risk_profile_id": "p",
        "agreed_risk": None,
        "thresholds": {"high": 9},
    }
    assert shown.runs[0].now is None
    assert shown.runs[0].preview is not None
    assert (shown.runs[0].preview.score, shown.derived.complete) == (41, True)
