"""The retention policy: changing it, previewing it, and what it deletes."""

import asyncio
import re
from typing import Any

import pytest
from api_client import ApiClient
from people import put, signed_in

from prefactor_server.domain.account import Account
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.runs.legal_hold import LegalHold
from prefactor_server.follower.lease import Lease
from prefactor_server.upkeep import AbandonedRuns, RetentionTask, SilenceLimits

DAY = 86_400
PATH = "/retention_policy"
PREVIEW = f"{PATH}/preview"


async def _set(api_client: ApiClient, **details: Any) -> Any:
    return (await api_client.call("PUT", PATH, {"details": details})).details


async def _applied(api_client: ApiClient) -> list[str]:
    """The audit log's entries about applied policies, newest first."""
    found = await api_client.get("/audit", {"action": "retention_policies.apply"})
    assert {one["actor"] for one in found.summaries} <= {"server"}
    return [one["detail"] for one in found.summaries]


async def _left(api_client: ApiClient) -> set[str]:
    return {one["id"] for one in (await api_client.get("/agent_instance")).summaries}


async def test_nothing_is_deleted_without_a_policy(api_client: ApiClient) -> None:
    """An account without a policy has no rules, and keeps runs of any age."""
    run = await api_client.run("complete")
    shown = (await api_client.get(PATH)).details
    api_client.clock.leap(seconds=36_500 * DAY)
    await api_client.apply_retention()

    assert (shown["rules"], shown["audit_days"], shown["updated_at"]) == ([], None, None)
    assert await _left(api_client) == {run["id"]}
    assert await _applied(api_client) == []


async def test_old_runs_are_deleted_with_all_their_rows(api_client: ApiClient) -> None:
    """A run is deleted once its end is as old as its rule says, and the log has the count."""
    old = await api_client.run("active")
    span = await api_client.span(old)
    await api_client.post(f"/agent_spans/{span['id']}/finish")
    api_client.clock.leap(seconds=20 * DAY)
    await api_client.post(f"/agent_instance/{old['id']}/finish", {"status": "complete"})
    still_open = await api_client.run("active")
    await _set(api_client, rules=[{"days": 10}])
    api_client.clock.leap(seconds=9 * DAY)
    young = await api_client.run("terminated")
    await api_client.apply_retention()
    assert await _left(api_client) == {old["id"], young["id"], still_open["id"]}

    api_client.clock.leap(seconds=2 * DAY)
    await api_client.apply_retention()
    await api_client.follow()

    assert await _left(api_client) == {young["id"], still_open["id"]}
    (await api_client.get(f"/agent_spans/{span['id']}")).refused(404, "not_found")
    (applied,) = await _applied(api_client)
    assert applied.startswith("all runs, kept 10 days: 1 runs, 1 spans, ")
    await api_client.apply_retention()
    assert await _applied(api_client) == [applied]


async def test_a_change_is_in_the_log_with_its_rules(api_client: ApiClient) -> None:
    """Missing fields stay, the most specific rule is shown first, and each change is logged."""
    run = await api_client.run()
    rules = [{"days": 90}, {"days": None, "agent_id": "agent-1", "purpose": "live"}]
    first = await _set(api_client, rules=rules)
    second = await _set(api_client, audit_days=400)
    third = await _set(api_client, rules=[])

    filters = {"agent_id": None, "environment_id": None, "purpose": None}
    specific = {**filters, "agent_id": run["agent_id"], "purpose": "live"}
    assert first["rules"] == [{"days": None, **specific}, {"days": 90, **filters}]
    assert (second["rules"], second["audit_days"]) == (first["rules"], 400)
    assert (third["rules"], third["audit_days"]) == ([], 400)
    assert (await api_client.get(PATH)).details == third
    logged = await api_client.get("/audit", {"action": "retention_policies.update"})
    described = f"all runs, kept 90 days; agent {run['agent_id']}, purpose live, kept forever"
    assert [one["detail"] for one in logged.summaries] == [
        "no rules; audit log, kept 400 days",
        f"{described}; audit log, kept 400 days",
        f"{described}; audit log, kept forever",
    ]


@pytest.mark.parametrize(
    ("details", "field", "message"),
    [
        ({"rules": [{"days": 0}]}, "days", "must be 1 to 36500 days, or null for forever"),
        ({"rules": [{}]}, "days", "is required"),
        (
            {"rules": [{"days": 9, "agent_id": "nobody"}]},
            "rules.0.agent_id",
            "'nobody' is not an agent of this account",
        ),
        (
            {"rules": [{"days": 9, "environment_id": "x"}]},
            "rules.0.environment_id",
            "'x' is not an environment of this account",
        ),
        ({"rules": [{"days": 9, "purpose": "fun"}]}, "purpose", "must be one of live, smoke_test"),
        ({"rules": [{"days": 9}, {"days": 8}]}, "rules.1", "an earlier rule covers the same runs"),
        ({"rules": [{"days": 9}] * 101}, "rules", "must be at most 100 rules, got 101"),
        ({"audit_days": 29}, "audit_days", "must be 30 to 36500 days, or null for forever"),
        ({"rule": []}, "rule", "is not a known field"),
        ({"rules": [{"days": 9, "agent": "x"}]}, "agent", "is not a known field"),
    ],
)
async def test_an_invalid_policy_is_rejected(
    api_client: ApiClient, details: Any, field: str, message: str
) -> None:
    """Each wrong field is named, with what is allowed, and nothing changes."""
    answer = await api_client.call("PUT", PATH, {"details": details})
    refused = answer.refused(422, "validation_errors")

    assert field in refused["message"]
    assert message in answer.text
    assert (await api_client.get(PATH)).details["updated_at"] is None
    if "rules" in details:
        tried = await api_client.post(PREVIEW, {"rules": details["rules"]})
        assert message in tried.text
        tried.refused(422, "validation_errors")


async def test_of_two_changes_at_once_one_is_refused(api_client: ApiClient) -> None:
    """A change that is based on an outdated state is refused."""

    async def change(days: int, previous: str | None) -> Any:
        details = {"rules": [{"days": days}], "previous_updated_at": previous}
        return await api_client.call("PUT", PATH, {"details": details})

    previous = None
    for _ in range(3):
        answers = await asyncio.gather(*[change(days, previous) for days in (7, 8, 9)])
        (kept,) = [one.details for one in answers if one.status == 200]
        refused = [one.refused(409, "invalid_action") for one in answers if one.status != 200]
        assert ["read it again" in one["message"] for one in refused] == [True, True]
        assert (await api_client.get(PATH)).details == kept
        previous = kept["updated_at"]


async def test_only_administrators_may_see_and_change_it(api_client: ApiClient) -> None:
    """Viewers, members and deployment tokens can neither read nor change the policy."""
    run = await api_client.run("complete")
    for role in ("viewer", "member"):
        session = await signed_in(api_client, role=role)
        for answer in (
            await session.get(PATH),
            await session.call("PUT", PATH, {"details": {"rules": [{"days": 1}]}}),
            await session.post(PREVIEW, {}),
        ):
            answer.refused(403, "not_permitted")
    token = await api_client.deployment_token(run)
    (await api_client.get(PATH, token=token)).refused(403, "not_permitted")


async def test_a_rule_of_a_deleted_agent_may_stay(api_client: ApiClient) -> None:
    """A policy whose rule names a deleted agent can still be changed."""
    agent = (await api_client.post("/agent", {"details": {"name": "A"}})).details["id"]
    await _set(api_client, rules=[{"days": 9, "agent_id": agent}])
    await api_client.call("DELETE", f"/agent/{agent}")

    changed = await _set(api_client, rules=[{"days": 7}, {"days": 8, "agent_id": agent}])
    assert [one["days"] for one in changed["rules"]] == [8, 7]


async def _hold(api_client: ApiClient, run: Any) -> None:
    """Put a run on hold."""
    account, run_id = run["account_id"], run["id"]
    entry = AuditEntry(account, 1, "cli", "legal_holds.add", run_id, "a lawsuit")
    hold = LegalHold(account, run_id, "a lawsuit", 1)
    assert await api_client.storage.maintenance.add_hold(hold, entry)


async def test_a_preview_counts_what_is_deleted(api_client: ApiClient) -> None:
    """A preview counts, by rule, the runs to delete next and the runs that only a hold keeps."""
    rules = [{"days": 10}, {"days": 3, "purpose": "eval"}, {"days": None, "agent_id": "precious"}]
    await api_client.run("complete", agent_id="precious")
    held = await api_client.run("failed", purpose="eval")
    for purpose in ("live", "eval", "eval"):
        run = await api_client.run("active", purpose=purpose)
        await api_client.span(run)
        await api_client.post(f"/agent_instance/{run['id']}/finish", {"status": "complete"})
    await _hold(api_client, held)

    async def counts(body: Any) -> list[tuple[Any, ...]]:
        found = (await api_client.post(PREVIEW, body)).details
        assert found["is_complete"]
        numbers = ("runs", "spans", "held_runs")
        return [(one["rule"]["days"], *map(one.get, numbers)) for one in found["rules"]]

    api_client.clock.leap(seconds=5 * DAY)
    assert await counts({"rules": rules}) == [(None, 0, 0, 0), (3, 2, 2, 1), (10, 0, 0, 0)]
    assert await counts({}) == []
    await _set(api_client, rules=rules)
    assert await counts({}) == await counts({"rules": rules})
    api_client.clock.leap(seconds=6 * DAY)
    assert await counts({}) == [(None, 0, 0, 0), (3, 2, 2, 1), (10, 1, 1, 0)]
    await api_client.apply_retention()

    assert await counts({}) == [(None, 0, 0, 0), (3, 0, 0, 1), (10, 0, 0, 0)]
    said = [re.sub(", [0-9]+ bytes .*", "", one) for one in await _applied(api_client)]
    assert sorted(said) == [
        "all runs, kept 10 days: 1 runs, 1 spans",
        "purpose eval, kept 3 days: 2 runs, 2 spans",
    ]
    assert len(await _left(api_client)) == 2
    assert held["id"] in await _left(api_client)


async def test_unended_runs_are_deleted_as_well(api_client: ApiClient) -> None:
    """An abandoned run's age counts from its flag, and an unstarted run's from its registration."""
    pending, silent, alive = [await api_client.run(one) for one in ("pending", "active", "active")]
    held = await api_client.run("pending")
    await _hold(api_client, held)
    await _set(api_client, rules=[{"days": 10}])
    heartbeat = {"ids": [silent["id"], alive["id"]]}
    await api_client.post("/agent_instance/heartbeat", heartbeat)
    watch = AbandonedRuns(
        api_client.storage,
        api_client.writer,
        SilenceLimits.of(15, 0, 7),
        holder="test",
        now_us=api_client.clock,
    )
    for minute in range(17):
        await watch.turn(api_client.heartbeats)
        api_client.clock.leap(seconds=60)
        if minute % 5 == 0:
            await api_client.span(alive)
    await watch.turn(api_client.heartbeats)
    assert (await api_client.get(f"/agent_instance/{silent['id']}")).details["abandoned"]

    api_client.clock.leap(seconds=10 * DAY - 1500)
    await api_client.apply_retention()
    kept = {alive["id"], held["id"]}
    assert await _left(api_client) == {pending["id"], silent["id"], *kept}
    api_client.clock.leap(seconds=3000)
    await api_client.apply_retention()

    assert await _left(api_client) == kept
    (applied,) = await _applied(api_client)
    assert applied.startswith("all runs, kept 10 days: 2 runs, 0 spans")


async def test_a_changed_policy_is_applied_soon(api_client: ApiClient) -> None:
    """Between the hours, only policies that were changed are applied."""
    await api_client.run("complete")
    await _set(api_client, rules=[{"days": 10}])
    task = RetentionTask(api_client.storage, "test", api_client.clock, 3600)
    await task.turn()
    api_client.clock.leap(seconds=11 * DAY)
    await task.turn()
    assert len(await _left(api_client)) == 1

    await _set(api_client, rules=[{"days": 9}])
    await task.turn()
    assert await _left(api_client) == set()
    (applied,) = await _applied(api_client)
    assert applied.startswith("all runs, kept 9 days: 1 runs, 0 spans")


@pytest.mark.parametrize("what", ["policy", "lease"])
async def test_a_deletion_stops_without_its_policy_or_lease(
    api_client: ApiClient, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Nothing more is deleted once the policy was changed, or another server has taken over."""
    monkeypatch.setattr("prefactor_server.upkeep.retention.RUN_SLICE", 1)
    for _ in range(3):
        await api_client.run("complete")
    await _set(api_client, rules=[{"days": 10}])
    api_client.clock.leap(seconds=11 * DAY)
    storage, clock = api_client.storage, api_client.clock
    maintenance = storage.maintenance
    delete = maintenance.delete_runs

    async def interrupted(deletion: Any) -> Any:
        deleted = await delete(deletion)
        if what == "policy":
            await _set(api_client, rules=[])
        else:
            clock.leap(seconds=60)
            assert await Lease(storage.feed, "another", clock, name="retention").take()
        return deleted

    with monkeypatch.context() as patched:
        patched.setattr(maintenance, "delete_runs", interrupted)
        await api_client.apply_retention()
    assert len(await _left(api_client)) == 2

    clock.leap(seconds=60)
    await api_client.apply_retention()
    assert len(await _left(api_client)) == (2 if what == "policy" else 0)


async def test_a_policy_is_for_its_own_account(api_client: ApiClient) -> None:
    """The policy of one account neither shows nor deletes anything of another."""
    run = await api_client.run("complete")
    await put(api_client, Account("other", "Other", 7, 1, 1))
    other, _ = await api_client.add_token(account_id="other")
    await api_client.call("PUT", PATH, {"details": {"rules": [{"days": 1}]}}, token=other)
    named = {"details": {"rules": [{"days": 1, "agent_id": run["agent_id"]}]}}
    (await api_client.call("PUT", PATH, named, token=other)).refused(422, "validation_errors")
    api_client.clock.leap(seconds=30 * DAY)
    previewed = (await api_client.post(PREVIEW, {}, token=other)).details
    await api_client.apply_retention()

    assert previewed["rules"][0]["runs"] == 0
    assert (await api_client.get(PATH)).details["rules"] == []
    assert await _left(api_client) == {run["id"]}


async def test_the_log_is_kept_for_its_days(
    api_client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit entries older than the policy allows are deleted, and the log has their number."""
    for backend in ("sqlite", "postgres"):
        module = f"prefactor_server.storage.{backend}.upkeep.prune"
        monkeypatch.setattr(f"{module}.AUDIT_SLICE", 2)
    await api_client.run("terminated")
    await _set(api_client, audit_days=30)
    api_client.clock.leap(seconds=20 * DAY)
    await api_client.run("terminated")
    api_client.clock.leap(seconds=11 * DAY)
    await api_client.apply_retention()
    await api_client.apply_retention()

    listed = (await api_client.get("/audit")).summaries
    assert [one["action"] for one in listed] == [
        "retention_policies.apply",
        "agent_instances.terminate",
    ]
    assert listed[0]["detail"] == "audit log, kept 30 days: 3 entries"
