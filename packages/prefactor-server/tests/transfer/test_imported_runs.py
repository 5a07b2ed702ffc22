"""Imported runs cause no notifications about what happened on the other server."""

from typing import Any

from moved import exported, imported, record_everything

from prefactor_server.domain.runs.webhooks.webhook import EVENTS
from prefactor_server.follower.consumer import Derived
from prefactor_server.upkeep import AbandonedRuns, SilenceLimits

DAY = 86_400
SCHOOL = {
    "name": "school",
    "params_schema": {"type": "object"},
    "data_risk": {"params_data_categories": {"minors_data": "included"}},
}


async def let_days_pass(client: Any, days: int, *, end_minutes: int = 0) -> None:
    """Let time pass on a server that flags silent runs after a week and may end them then."""
    limits = SilenceLimits.of(15, end_minutes, 7)
    watch = AbandonedRuns(client.storage, client.writer, limits, holder="test", now_us=client.clock)
    client.clock.leap(seconds=days * DAY)
    for _ in range(3):
        await watch.turn(client.heartbeats)
        client.clock.leap(seconds=3700)
    await client.follow()


async def rebuild_alerts(client: Any) -> None:
    """Do what ``prefactor-server rebuild alerts`` does."""
    state = (await client.storage.feed.states())["alerts"]
    await client.storage.feed.advance(state, state._replace(backfill="reset"), Derived())
    await client.follow()


async def alerts_of(client: Any) -> list[str]:
    """The names of all alerts that the server has."""
    found = [
        one["name"]
        for status in ("raised", "cleared")
        for one in (await client.get("/alerts", {"status": status})).summaries
    ]
    return sorted(found)


async def record_risk(client: Any) -> None:
    """Record a run with a risk that its profile does not limit."""
    weights = {"minors_data": 5}
    profile = {"name": "Tolerant", "category_weights": weights}
    made = (await client.post("/risk_profile", {"details": profile})).details
    agent = {"name": "Risky", "external_identifier": "risky", "risk_profile_id": made["id"]}
    await client.post("/agent", {"details": agent})
    declared = {"span_type_schemas": [SCHOOL]}
    run = await client.run("active", agent_id="risky", agent_schema_version=declared)
    await client.span(run, schema_name="school")


async def import_without_alerts(source: Any, target: Any) -> None:
    """Import failed, terminated, active and abandoned runs, a month later."""
    await record_everything(source)
    await let_days_pass(source, 8)
    assert len((await source.get("/agent_instance", {"abandoned": "true"})).summaries) == 1
    await source.run(agent_id="payer")
    await record_risk(source)
    kept = [line for line in (await exported(source)).splitlines() if b'"type":"alert"' not in line]
    target.clock.leap(seconds=30 * DAY)
    await target.follow()
    webhook = {"url": "https://127.0.0.1:9/", "events": list(EVENTS)}
    assert (await target.post("/webhook", {"details": webhook})).status == 200
    await imported(target, b"\n".join(kept) + b"\n")
    await target.follow()


async def test_imported_runs_cause_no_later_notifications(source: Any, target: Any) -> None:
    """The import, time, a rebuild of alerts and a new risk profile raise no alerts.

    A webhook for every event receives none.
    """
    await import_without_alerts(source, target)
    before = await exported(target)
    assert b'"abandoned_at":"2' in before

    await let_days_pass(target, 9, end_minutes=1)
    await rebuild_alerts(target)
    (profile,) = [
        one for one in (await target.get("/risk_profile")).summaries if one["name"] == "Tolerant"
    ]
    change = {"details": {"agreed_risk": "low"}}
    assert (await target.call("PUT", f"/risk_profile/{profile['id']}", change)).status == 200
    await target.follow()

    assert await alerts_of(target) == []
    assert (await target.get("/webhook_delivery")).summaries == []
    assert runs_of(before) == runs_of(await exported(target))


def runs_of(document: bytes) -> list[bytes]:
    """The lines of runs in an export."""
    return [line for line in document.splitlines() if line.startswith(b'{"type":"agent_instance"')]


async def test_a_continued_imported_run_sends_events(source: Any, target: Any) -> None:
    """A run that continues after the import sends events for its end and its silence."""
    await import_without_alerts(source, target)
    (active,) = (await target.get("/agent_instance", {"external_identifier": "run-3"})).summaries

    await target.span(active)
    await let_days_pass(target, 9)

    assert await alerts_of(target) == ["run.abandoned"]
    await target.post(f"/agent_instance/{active['id']}/finish", {"status": "failed"})
    await target.follow()
    await rebuild_alerts(target)
    assert await alerts_of(target) == ["run.abandoned", "run.failed"]
    told = (await target.get("/webhook_delivery")).summaries
    assert sorted(one["event_type"] for one in told) == ["run.failed", "run.finished"]
