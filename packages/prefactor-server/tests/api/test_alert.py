"""Alerts through the API: which ones the server raises, and how they are listed."""

from typing import Any

import pytest

from prefactor_server.domain.runs.retention import Retention
from prefactor_server.domain.times import format_time, parse_time
from prefactor_server.storage.feed import Derived

TYPES = [
    {
        "name": "school",
        "params_schema": {},
        "data_risk": {"params_data_categories": {"minors_data": "included"}},
    }
]


async def _weighed(api_client: Any, agreed: str | None = "low", **fields: Any) -> Any:
    """A run of an agent whose profile gives each span of a type 5, which is medium."""
    weights = {"category_weights": {"minors_data": 5}, "agreed_risk": agreed}
    profile = (
        await api_client.post("/risk_profile", {"details": {"name": "P", **weights}})
    ).details
    details = {"name": "A", "external_identifier": "risky", "risk_profile_id": profile["id"]}
    await api_client.post("/agent", {"details": details})
    declared = {"span_type_schemas": TYPES}
    run = await api_client.run("active", agent_id="risky", agent_schema_version=declared, **fields)
    return run | {"risk_profile_id": profile["id"]}


async def _alerts(api_client: Any, **query: str) -> Any:
    """Return the listed alerts once the server has caught up."""
    await api_client.follow()
    return (await api_client.get("/alerts", query)).summaries


async def _raise(api_client: Any, run: Any, name: str, **fields: Any) -> Any:
    body = {"agent_instance_id": run["id"], "name": name, **fields}
    return (await api_client.post("/alerts/raise", body)).details


async def _clear(api_client: Any, run: Any, name: str, **more: Any) -> Any:
    return await api_client.post(
        "/alerts/clear", {"agent_instance_id": run["id"], "name": name}, **more
    )


async def test_failed_and_terminated_runs_are_alerts(api_client: Any) -> None:
    """A failed run and a terminated one are alerts; completed runs are not."""
    runs = {status: await api_client.run(status) for status in ("complete", "failed", "terminated")}

    found = await _alerts(api_client, sorting="at")

    assert [(one["kind"], one["name"], one["agent_instance_id"]) for one in found] == [
        ("run_failed", "run.failed", runs["failed"]["id"]),
        ("run_terminated", "run.terminated", runs["terminated"]["id"]),
    ]
    assert found[0]["at"] == found[0]["raised_at"] == runs["failed"]["finished_at"]
    assert found[1]["termination_reason"] == "enough"
    assert [(one["status"], one["severity"], one["version"]) for one in found] == [
        ("raised", "warning", 1)
    ] * 2
    count = await api_client.get("/alerts/count")
    assert count.body == {
        "status": "success",
        "count": 2,
        "complete": True,
        "behind_seconds": 0,
    }


async def test_a_run_above_the_agreed_risk_is_an_alert(api_client: Any) -> None:
    """A run above its agreed risk raises an alert at once, and more spans update it."""
    run = await _weighed(api_client)
    assert await _alerts(api_client) == []
    await api_client.span(run, schema_name="school")

    (alert,) = await _alerts(api_client, kind="risk_exceeded")
    for _ in range(10):
        await api_client.span(run, schema_name="school")
    (later,) = await _alerts(api_client, name="risk.exceeded")

    assert (alert["agent_instance_id"], alert["type"]) == (run["id"], "alert")
    assert (alert["risk_score"], alert["risk_level"], alert["agreed_risk"]) == (5, "medium", "low")
    assert (later["risk_score"], later["severity"], later["version"]) == (55, "warning", 2)
    assert (later["id"], later["raised_at"]) == (alert["id"], alert["raised_at"])


async def test_a_large_run_is_scored_when_it_ends(api_client: Any, monkeypatch: Any) -> None:
    """A large active run is not scored after each span, but always at its end."""
    monkeypatch.setattr("prefactor_server.follower.alert_check._SCORED_AT_ONCE", 10)
    run = await _weighed(api_client)
    seen = list[float]()
    for _ in range(15):
        await api_client.span(run, schema_name="school")
        (alert,) = await _alerts(api_client)
        seen.append(alert["risk_score"])
    await api_client.post(f"/agent_instance/{run['id']}/finish")
    (ended,) = await _alerts(api_client)

    assert seen[:10] == [5 * number for number in range(1, 11)]
    assert seen[10:] != [5 * number for number in range(11, 16)]
    assert ended["risk_score"] == 75


async def test_an_agreed_risk_is_not_an_alert(api_client: Any) -> None:
    """A run at the agreed level raises no alert, and neither do many spans without risk."""
    run = await _weighed(api_client, "medium")
    for name in ("school", "other", "other"):
        await api_client.span(run, schema_name=name)

    assert await _alerts(api_client) == []


@pytest.mark.parametrize("how", ["agreed", "deleted", "unassigned"])
async def test_a_changed_profile_clears_and_raises_alerts(api_client: Any, how: str) -> None:
    """A profile that allows more, or is deleted, clears the alert; the first profile raises it."""
    run = await _weighed(api_client)
    await api_client.span(run, schema_name="school")
    (raised,) = await _alerts(api_client)
    profile, agent = f"/risk_profile/{run['risk_profile_id']}", f"/agent/{run['agent_id']}"
    changes = {
        "agreed": ("PUT", profile, {"details": {"agreed_risk": "medium"}}),
        "deleted": ("DELETE", profile, None),
        "unassigned": ("PUT", agent, {"details": {"risk_profile_id": None}}),
    }
    assert (await api_client.call(*changes[how])).status == 200

    assert await _alerts(api_client) == []
    (cleared,) = await _alerts(api_client, agent_instance_id=run["id"])
    assert (cleared["id"], cleared["status"], cleared["version"]) == (raised["id"], "cleared", 2)
    if how == "agreed":
        await api_client.call("PUT", profile, {"details": {"agreed_risk": "low"}})
        (again,) = await _alerts(api_client)
        assert (again["id"], again["version"], again["cleared_at"]) == (raised["id"], 3, None)
    assert await api_client.rows("SELECT count(*) FROM alert_review") == [(0,)]


async def test_a_changed_profile_concerns_the_runs_of_90_days(api_client: Any) -> None:
    """A changed profile raises alerts of the runs of the last 90 days, and of none before."""
    old = await _weighed(api_client, "high")
    api_client.clock.leap(seconds=90 * 24 * 3600)
    declared = {"span_type_schemas": TYPES}
    recent = await api_client.run("active", agent_id="risky", agent_schema_version=declared)
    for run in (old, recent):
        await api_client.span(run, schema_name="school")
    assert await _alerts(api_client) == []

    profile = f"/risk_profile/{old['risk_profile_id']}"
    await api_client.call("PUT", profile, {"details": {"agreed_risk": "low"}})
    (alert,) = await _alerts(api_client)
    assert alert["agent_instance_id"] == recent["id"]
    assert await _alerts(api_client, agent_instance_id=old["id"]) == []


async def test_a_cleared_alert_is_not_raised_again(api_client: Any) -> None:
    """An acknowledged alert stays cleared while the run continues, until its risk increases."""
    failed, risky = await api_client.run("failed"), await _weighed(api_client)
    await api_client.span(risky, schema_name="school")
    await api_client.follow()
    token = await api_client.deployment_token(risky)
    (await _clear(api_client, risky, "risk.exceeded", token=token)).refused(403, "not_permitted")
    for run, name in ((failed, "run.failed"), (risky, "risk.exceeded")):
        assert (await _clear(api_client, run, name)).details["status"] == "cleared"

    await api_client.span(failed, schema_name="late")
    await api_client.span(risky, schema_name="school")
    assert await _alerts(api_client) == []
    for _ in range(20):
        await api_client.span(risky, schema_name="school")
    (worse,) = await _alerts(api_client)
    assert (worse["name"], worse["severity"]) == ("risk.exceeded", "critical")


async def test_a_rebuild_changes_nothing(api_client: Any) -> None:
    """A rebuild finds the same alerts, with the same ids, and keeps what callers cleared."""
    for status in ("failed", "terminated"):
        await api_client.run(status)
    risky = await _weighed(api_client)
    await api_client.span(risky, schema_name="school")
    await _raise(api_client, risky, "mine")
    dismissed = await api_client.run("failed")
    await api_client.follow()
    await _clear(api_client, dismissed, "run.failed")
    before = await api_client.rows("SELECT * FROM alert ORDER BY id")

    state = (await api_client.storage.feed.states())["alerts"]
    await api_client.storage.feed.advance(state, state._replace(backfill="reset"), Derived())
    assert not (await api_client.get("/alerts/count")).body["complete"]
    await api_client.follow()

    assert await api_client.rows("SELECT * FROM alert ORDER BY id") == before
    assert (await api_client.get("/alerts/count")).body == {
        "status": "success",
        "count": 4,
        "complete": True,
        "behind_seconds": 0,
    }


async def test_an_upgrade_raises_alerts_of_the_last_days(api_client: Any) -> None:
    """Runs from before alerts existed get theirs, unless they ended over 90 days ago."""
    await api_client.run("failed")
    api_client.clock.leap(seconds=60 * 24 * 3600)
    await api_client.run("failed")
    api_client.clock.leap(seconds=60 * 24 * 3600)
    recent = await api_client.run("terminated")

    found = await _alerts(api_client, sorting="raised_at", status="raised")

    assert [one["name"] for one in found] == ["run.failed", "run.terminated"]
    assert found[1]["agent_instance_id"] == recent["id"]


async def test_alerts_are_deleted_with_their_run(api_client: Any) -> None:
    """Pruning a run deletes all of its alerts, raised by the server or by callers."""
    run = await api_client.run("failed")
    kept = await api_client.run("complete")
    await _raise(api_client, run, "mine")
    await _raise(api_client, kept, "mine")
    await api_client.follow()
    retention = Retention(run["account_id"], parse_time(kept["finished_at"]))
    pruned = await api_client.storage.maintenance.prune(retention, api_client.clock.now, "test")
    assert pruned.runs == 1
    await api_client.follow()

    left = await api_client.rows("SELECT agent_instance_id, name FROM alert")
    assert left == [(kept["id"], "mine")]


async def test_old_alerts_are_left_out_by_default(api_client: Any) -> None:
    """Without a filter, alerts older than the window are left out; with one they are not."""
    await api_client.run("failed")
    await api_client.span(await _weighed(api_client), schema_name="school")
    await api_client.follow()
    api_client.clock.leap(seconds=8 * 24 * 3600)

    assert (await api_client.get("/alerts/count")).body["count"] == 0
    assert (await api_client.get("/alerts/count", {"window_days": "9"})).body["count"] == 2
    assert (await api_client.get("/alerts/count", {"kind": "run_failed"})).body["count"] == 0
    assert (await api_client.get("/alerts/count", {"name": "run.failed"})).body["count"] == 1
    narrow = {"name": "run.failed", "window_days": "1"}
    assert (await api_client.get("/alerts/count", narrow)).body["count"] == 0


FILTERS: list[tuple[dict[str, str], str]] = [
    ({"status": "raised"}, "bc"),
    ({"status": "cleared"}, "a"),
    ({"severity": "critical"}, "b"),
    ({"severity": "info", "status": "cleared"}, ""),
    ({"name": "c"}, "c"),
    ({"agent_id": "one"}, "ab"),
    ({"agent_id": "nobody"}, ""),
    ({"agent_instance_id": "run-2"}, "c"),
    ({"environment_id": "nowhere"}, ""),
    ({}, "bc"),
    ({"active_during[start_at]": "<early>", "active_during[end_at]": "<late>"}, "abc"),
    ({"active_during[start_at]": "<cleared>"}, "abc"),
    ({"active_during[start_at]": "<late>"}, "bc"),
    ({"active_during[end_at]": "<cleared>"}, "ab"),
    ({"active_during[end_at]": "<early>"}, ""),
]


async def test_alerts_are_found_by_filters(api_client: Any) -> None:
    """Each filter applies to both the list and the count."""
    first = await api_client.register("run-1", agent_id="one")
    second = await api_client.register("run-2", agent_id="two")
    times = {"<early>": first["inserted_at"]}
    await _raise(api_client, first, "a")
    await _raise(api_client, first, "b", severity="critical")
    times["<cleared>"] = (await _clear(api_client, first, "a")).details["cleared_at"]
    last = await _raise(api_client, second, "c")
    times["<late>"] = format_time(parse_time(last["raised_at"]) + 1)

    for query, expected in FILTERS:
        asked = {name: times.get(value, value) for name, value in query.items()}
        found = await _alerts(api_client, sorting="raised_at", **asked)
        assert "".join(one["name"] for one in found) == expected, query
        assert (await api_client.get("/alerts/count", asked)).body["count"] == len(expected)


async def test_wrong_filters_are_refused(api_client: Any) -> None:
    """An invalid value is refused by the name of its parameter, on the list and on the count."""
    start, end = "active_during[start_at]", "active_during[end_at]"
    days = ("0", "91", "-1", "x", "", "1.5", "9" * 21)
    wrong = [({"window_days": value}, "window_days") for value in days]
    wrong += [({name: "nothing"}, name) for name in ("status", "severity", "kind", start)]
    wrong += [({start: "2026-01-02T00:00:00Z", end: "2026-01-01T00:00:00Z"}, end)]

    for query, field in wrong:
        for path in ("/alerts", "/alerts/count"):
            refused = await api_client.get(path, query)
            assert list(refused.refused(422, "validation_errors")["errors"]) == [field]


async def test_a_deployment_reads_no_alerts(api_client: Any) -> None:
    """A deployment token cannot read alerts."""
    token = await api_client.deployment_token(await api_client.run("failed"))

    for path in ("/alerts", "/alerts/count"):
        (await api_client.get(path, token=token)).refused(403, "not_permitted")


async def test_alerts_are_paged(api_client: Any) -> None:
    """Paging by offset and by cursor finds every alert once, in the same order."""
    run = await api_client.run()
    for number in range(5):
        await _raise(api_client, run, str(number))
    for order in ("at", "raised_at"):
        await _walk(api_client, order)


async def _walk(api_client: Any, order: str) -> None:
    size = {"pagination[page_size]": "2", "sorting[field]": order, "sorting[direction]": "desc"}

    whole = await _alerts(api_client, sorting=f"-{order}")
    by_offset, by_cursor, after = list[Any](), list[Any](), dict[str, str]()
    for offset in ("0", "2", "4"):
        page = await api_client.get("/alerts", {**size, "pagination[offset]": offset})
        by_offset += page.summaries
        page = await api_client.get("/alerts", {**size, **after})
        by_cursor += page.summaries
        after = {"pagination[after]": page.body["pagination"]["next_after"]}

    assert whole == by_offset == by_cursor
    assert [one["name"] for one in whole] == ["4", "3", "2", "1", "0"]
