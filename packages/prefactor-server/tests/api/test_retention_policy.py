"""The retention policy: change it, preview it, and what is deleted by it."""

from typing import Any

import pytest
from api_client import ApiClient
from people import signed_in

DAY = 86_400
PATH = "/retention_policy"
PREVIEW = f"{PATH}/preview"


async def _set(api_client: ApiClient, **details: Any) -> Any:
    return (await api_client.call("PUT", PATH, {"details": details})).details


async def _applied(api_client: ApiClient) -> list[str]:
    """What the audit log says of what was applied, newest first."""
    found = await api_client.get("/audit", {"action": "retention_policies.apply"})
    assert {one["actor"] for one in found.summaries} <= {"server"}
    return [one["detail"] for one in found.summaries]


async def _left(api_client: ApiClient) -> set[str]:
    return {one["id"] for one in (await api_client.get("/agent_instance")).summaries}


async def test_nothing_is_deleted_before_somebody_says_so(api_client: ApiClient) -> None:
    """An account without a policy has no rules, and keeps runs of any age."""
    run = await api_client.run("complete")
    shown = (await api_client.get(PATH)).details
    api_client.clock.leap(seconds=36_500 * DAY)
    await api_client.apply_retention()

    assert (shown["rules"], shown["audit_days"], shown["updated_at"]) == ([], None, None)
    assert await _left(api_client) == {run["id"]}
    assert await _applied(api_client) == []


async def test_old_runs_go_with_everything_of_theirs(api_client: ApiClient) -> None:
    """A run goes once its end is as old as its rule says, and the log says how many went."""
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
    """Missing fields stay, rules are shown most specific first, and each change is logged."""
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
        ({"rules": [{"days": 9, "agent_id": "nobody"}]}, "rules", "rule 1: 'nobody' is no agent"),
        (
            {"rules": [{"days": 9, "environment_id": "x"}]},
            "rules",
            "rule 1: 'x' is no environment",
        ),
        ({"rules": [{"days": 9, "purpose": "fun"}]}, "purpose", "must be one of live, smoke_test"),
        ({"rules": [{"days": 9}, {"days": 8}]}, "rules", "rule 2: an earlier rule is for the same"),
        ({"rules": [{"days": 9}] * 101}, "rules", "must be at most 100 rules, got 101"),
        ({"audit_days": 29}, "audit_days", "must be 30 to 36500 days, or null for forever"),
        ({"rule": []}, "rule", "is not a known field"),
        ({"rules": [{"days": 9, "agent": "x"}]}, "agent", "is not a known field"),
    ],
)
async def test_what_cannot_be_a_policy_is_refused(
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


async def test_only_administrators_may_see_and_change_it(api_client: ApiClient) -> None:
    """A viewer and a member, and an agent's own token, are refused."""
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
