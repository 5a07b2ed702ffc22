"""Heartbeats through the API, and what happens to runs whose agents fall silent."""

from typing import Any

import pytest

from prefactor_server.domain.runs.retention import Retention
from prefactor_server.upkeep import AbandonedRuns, SilenceLimits

PATH = "/agent_instance/heartbeat"
DAY = 86_400


async def _beat(api_client: Any, *runs: Any, **more: Any) -> Any:
    ids = [run["id"] for run in runs]
    return (await api_client.post(PATH, {"ids": ids}, **more)).details


def _watch(api_client: Any, end_minutes: int = 0, holder: str = "test") -> AbandonedRuns:
    return AbandonedRuns(
        api_client.storage,
        api_client.writer,
        SilenceLimits.of(15, end_minutes, 7),
        holder=holder,
        now_us=api_client.clock,
    )


async def _pass(api_client: Any, watch: AbandonedRuns, minutes: int) -> None:
    """Let time pass on a running server."""
    for _ in range(minutes):
        await watch.turn(api_client.heartbeats)
        api_client.clock.leap(seconds=60)
    await watch.turn(api_client.heartbeats)


async def _shown(api_client: Any, run: Any) -> Any:
    return (await api_client.get(f"/agent_instance/{run['id']}")).details


async def _abandoned(api_client: Any) -> list[str]:
    """The ids of abandoned runs, as the filter finds them."""
    found = (await api_client.get("/agent_instance", {"abandoned": "true"})).summaries
    return [run["id"] for run in found]


async def _alerts(api_client: Any) -> list[tuple[str, str]]:
    await api_client.follow()
    found = [
        one
        for status in ("raised", "cleared")
        for one in (await api_client.get("/alerts", {"status": status})).summaries
    ]
    return sorted((one["name"], one["status"]) for one in found)


async def test_a_heartbeat_returns_control_signals(api_client: Any) -> None:
    """A heartbeat returns terminated runs with their reasons, and names unknown runs."""
    active, stopped = await api_client.run(), await api_client.run("terminated")
    unknown = {"id": "nobody"}

    answer = await _beat(api_client, active, stopped, unknown, active)

    assert answer == {
        "type": "heartbeat",
        "controls": {stopped["id"]: {"terminate": True, "reason": "enough"}},
        "unknown_ids": ["nobody"],
    }


@pytest.mark.parametrize("ids", [[], ["run"] * 1001, ["a b"], [7], "run", None])
async def test_ids_are_checked(api_client: Any, ids: Any) -> None:
    """An impossible run id is refused, and the error names its place."""
    refused = await api_client.post(PATH, {"ids": ids})

    errors = refused.refused(422, "validation_errors")["errors"]
    assert all(place.startswith("ids") for place in errors)


async def test_a_silent_run_is_flagged_until_it_is_active_again(api_client: Any) -> None:
    """A silent run is flagged, keeps its status, and is unflagged by a heartbeat or a span."""
    run, other, watch = await api_client.run(), await api_client.run(), _watch(api_client)
    for speaks in ("heartbeat", "span"):
        await _beat(api_client, run, other)
        await _pass(api_client, watch, 14)
        assert await _abandoned(api_client) == []
        await _beat(api_client, other)
        await _pass(api_client, watch, 2)

        assert await _abandoned(api_client) == [run["id"]]
        shown = await _shown(api_client, run)
        assert (shown["status"], shown["abandoned"]) == ("active", True)
        assert await _alerts(api_client) == [("run.abandoned", "raised")]
        if speaks == "heartbeat":
            await _beat(api_client, run)
        else:
            await api_client.span(run["id"])
        assert await _abandoned(api_client) == []
        assert await _alerts(api_client) == [("run.abandoned", "cleared")]


async def test_spans_count_like_heartbeats(api_client: Any) -> None:
    """Spans count like heartbeats, and a run that fell silent after them is marked again."""
    run, watch = await api_client.run(), _watch(api_client)
    await _beat(api_client, run)
    for _ in range(3):
        await _pass(api_client, watch, 10)
        await api_client.span(run["id"])
    assert await _abandoned(api_client) == []

    await _pass(api_client, watch, 16)
    await api_client.span(run["id"])
    assert await _abandoned(api_client) == []
    await _pass(api_client, watch, 16)
    assert await _abandoned(api_client) == [run["id"]]


async def test_downtime_is_not_silence(api_client: Any) -> None:
    """A run is not flagged for time in which no server could receive anything."""
    run, watch = await api_client.run(), _watch(api_client)
    await _beat(api_client, run)
    await _pass(api_client, watch, 10)
    api_client.clock.leap(seconds=DAY)
    again = _watch(api_client)
    await _pass(api_client, again, 4)
    assert await _abandoned(api_client) == []

    await _pass(api_client, again, 3)
    assert await _abandoned(api_client) == [run["id"]]


async def test_one_replica_looks_for_silent_runs(api_client: Any) -> None:
    """A second server stores its heartbeats and leaves the rest to the holder of the lease."""
    run = await api_client.run()
    await _beat(api_client, run)
    first, second = _watch(api_client), _watch(api_client, holder="second")
    await first.turn(api_client.heartbeats)
    await _beat(api_client, run)
    await second.turn(api_client.heartbeats)

    assert await api_client.rows("SELECT name, holder FROM lease") == [("abandoned_runs", "test")]
    ((seen_at,),) = await api_client.rows("SELECT last_seen_at FROM run_heartbeat")
    ((began_at,),) = await api_client.rows("SELECT began_at FROM server_uptime")
    assert seen_at > began_at


async def test_heartbeats_cost_no_commit_and_no_change(api_client: Any) -> None:
    """Heartbeats are stored in batches, and a server with nothing to watch is idle."""
    watch = _watch(api_client)
    await watch.turn(api_client.heartbeats)
    run = await api_client.run()
    position = await api_client.storage.feed.position()
    for _ in range(3):
        await _beat(api_client, run)
    assert await api_client.rows("SELECT count(*) FROM run_heartbeat") == [(0,)]
    assert await api_client.rows("SELECT count(*) FROM server_uptime") == [(0,)]

    await watch.turn(api_client.heartbeats)
    assert await api_client.rows("SELECT count(*) FROM run_heartbeat") == [(1,)]
    assert await api_client.storage.feed.position() == position


async def test_a_run_without_heartbeats_is_marked_after_days(api_client: Any) -> None:
    """Published clients send no heartbeats, so their runs are flagged only after days."""
    old, watch = await api_client.run(), _watch(api_client)
    await api_client.run("pending")
    await api_client.run("complete")
    await _pass(api_client, watch, 16)
    api_client.clock.leap(seconds=6 * DAY)
    young = await api_client.run()
    await watch.turn(api_client.heartbeats)
    assert await _abandoned(api_client) == []

    api_client.clock.leap(seconds=DAY)
    await watch.turn(api_client.heartbeats)
    assert await _abandoned(api_client) == [old["id"]]
    assert (await _shown(api_client, young))["abandoned"] is False


async def test_heartbeats_without_writes_are_enough(api_client: Any) -> None:
    """A run that has written nothing for days is not marked while its heartbeats come."""
    run, silent, watch = await api_client.run(), await api_client.run(), _watch(api_client)
    await _beat(api_client, run)
    await _pass(api_client, watch, 1)
    api_client.clock.leap(seconds=8 * DAY)
    await _beat(api_client, run)
    await watch.turn(api_client.heartbeats)

    assert await _abandoned(api_client) == [silent["id"]]


async def test_an_abandoned_run_ends_provisionally(api_client: Any) -> None:
    """The agent's own end replaces the provisional end once, with 200."""
    run, watch = await api_client.run(), _watch(api_client, end_minutes=30)
    await _beat(api_client, run)
    await _pass(api_client, watch, 16)
    assert (await _shown(api_client, run))["status"] == "active"
    assert await _alerts(api_client) == [("run.abandoned", "raised")]
    await _pass(api_client, watch, 31)

    ended = await _shown(api_client, run)
    assert (ended["status"], ended["ended_by"], ended["abandoned"]) == (
        "failed",
        "abandoned",
        False,
    )
    assert ended["finished_at"] == ended["started_at"]
    assert await _alerts(api_client) == [("run.abandoned", "cleared"), ("run.failed", "raised")]
    audited = (
        await api_client.get("/audit", {"action": "agent_instances.end_abandoned"})
    ).summaries
    assert [(one["actor"], one["resource_id"]) for one in audited] == [("server", run["id"])]

    await _beat(api_client, run)
    await api_client.span(run["id"])
    assert (await _shown(api_client, run))["ended_by"] == "abandoned"
    path = f"/agent_instance/{run['id']}/finish"
    first = (await api_client.post(path, {"status": "complete"})).details
    again = await api_client.post(path, {"status": "failed"})
    assert (first["status"], first["ended_by"]) == ("complete", None)
    again.refused(409, "invalid_action")
    assert await _alerts(api_client) == [("run.abandoned", "cleared"), ("run.failed", "cleared")]


async def test_terminated_always_wins(api_client: Any) -> None:
    """A run that ended provisionally can be terminated, and stays so."""
    run, watch = await api_client.run(), _watch(api_client, end_minutes=1)
    await _beat(api_client, run)
    await _pass(api_client, watch, 20)
    path = f"/agent_instance/{run['id']}"
    stopped = await api_client.post(f"{path}/terminate", {"reason": "enough"})
    finished = await api_client.post(f"{path}/finish")

    assert (stopped.details["status"], stopped.details["ended_by"]) == ("terminated", None)
    finished.refused(409, "invalid_action")


@pytest.mark.parametrize("status", ["complete", "terminated"])
async def test_an_ended_run_is_not_abandoned(api_client: Any, status: str) -> None:
    """An ended run is not abandoned."""
    run, watch = await api_client.run(), _watch(api_client)
    await _beat(api_client, run)
    await _pass(api_client, watch, 16)
    end = {"complete": "finish", "terminated": "terminate"}[status]
    body = {"reason": "enough"} if end == "terminate" else {}
    ended = (await api_client.post(f"/agent_instance/{run['id']}/{end}", body)).details

    assert (ended["status"], ended["abandoned"]) == (status, False)
    assert await _abandoned(api_client) == []


async def test_a_deployment_sends_heartbeats_for_its_own_runs(api_client: Any) -> None:
    """Another agent's runs are unknown, and a heartbeat does nothing for them."""
    mine, theirs = await api_client.run(), await api_client.run(agent_id="agent-2")
    token = await api_client.deployment_token(mine)
    answer = await _beat(api_client, mine, theirs, token=token)
    await _watch(api_client).turn(api_client.heartbeats)

    assert answer["unknown_ids"] == [theirs["id"]]
    assert await api_client.rows("SELECT id FROM run_heartbeat") == [(mine["id"],)]


async def test_heartbeats_are_deleted_with_their_runs(api_client: Any) -> None:
    """Heartbeats are deleted when their run ends or is deleted."""
    ended, gone = await api_client.run(), await api_client.run()
    watch = _watch(api_client)
    await _beat(api_client, ended, gone)
    await watch.turn(api_client.heartbeats)
    for run in (ended, gone):
        await api_client.post(f"/agent_instance/{run['id']}/finish")
    retention = Retention(ended["account_id"], api_client.clock() + 1)
    await api_client.storage.maintenance.prune(retention, api_client.clock(), "test")
    active = await api_client.run()
    await _beat(api_client, active)
    await _pass(api_client, watch, 11)

    assert await api_client.rows("SELECT id FROM run_heartbeat") == [(active["id"],)]


async def test_the_flag_is_a_facet(api_client: Any) -> None:
    """Facets count abandoned runs, and the filter combines with others."""
    run, watch = await api_client.run(), _watch(api_client)
    await api_client.run("complete")
    await _beat(api_client, run)
    await _pass(api_client, watch, 16)
    facets = (await api_client.get("/agent_instance/facets", {"status": "active"})).details[
        "facets"
    ]
    others = (await api_client.get("/agent_instance", {"abandoned": "false"})).summaries

    assert facets["abandoned"]["values"] == [{"value": "true", "count": 1}]
    assert [one["status"] for one in others] == ["complete"]
