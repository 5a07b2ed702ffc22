"""The audit log: who did what, to what and when."""

from typing import Any

import pytest


async def _entries(api_client: Any, **query: str) -> list[tuple[str, str]]:
    found = (await api_client.get("/audit", query)).summaries
    return [(one["action"], one["resource_id"]) for one in found]


async def _history(api_client: Any) -> tuple[Any, Any]:
    """A run that was terminated, and a token that was created and revoked."""
    run = await api_client.run("terminated")
    made = (await api_client.post("/api_token", {"details": {"token_scope": "account"}})).details
    await api_client.post(f"/api_token/{made['id']}/revoke")
    return run, made


async def test_the_newest_entries_come_first(api_client: Any) -> None:
    """An entry has actor, action, resource, time and reason; other operations write no entry."""
    run, made = await _history(api_client)

    listed = await api_client.get("/audit")

    actions = [one["action"] for one in listed.summaries]
    assert actions == [
        "api_tokens.revoke",
        "api_tokens.create",
        "agent_instances.terminate",
        "accounts.create",
    ]
    assert listed.body["sorting"] == {"field": "at", "direction": "desc"}
    terminated = listed.summaries[2]
    assert terminated == {
        "type": "audit_entry",
        "id": terminated["id"],
        "account_id": run["account_id"],
        "at": run["finished_at"],
        "actor": terminated["actor"],
        "action": "agent_instances.terminate",
        "resource_id": run["id"],
        "detail": "enough",
    }
    assert listed.summaries[0]["resource_id"] == made["id"]
    assert listed.summaries[3]["actor"] == "cli"
    assert terminated["actor"] == listed.summaries[0]["actor"] != "cli"


async def test_filters_combine(api_client: Any) -> None:
    """Actor, action, resource and time narrow the log, alone and together."""
    run, made = await _history(api_client)
    terminate = ("agent_instances.terminate", run["id"])
    create, revoke = ("api_tokens.create", made["id"]), ("api_tokens.revoke", made["id"])
    at = {"since": made["inserted_at"]}

    assert await _entries(api_client, action="agent_instances.terminate") == [terminate]
    assert await _entries(api_client, resource_id=made["id"]) == [revoke, create]
    assert await _entries(api_client, resource_id=made["id"], action="api_tokens.create") == [
        create
    ]
    assert [action for action, _ in await _entries(api_client, actor="cli")] == ["accounts.create"]
    assert await _entries(api_client, **at) == [revoke, create]
    assert await _entries(api_client, **at, sorting="at") == [create, revoke]
    assert await _entries(api_client, actor="nobody") == []
    assert terminate in await _entries(api_client, before=made["inserted_at"])
    assert create not in await _entries(api_client, before=made["inserted_at"])


@pytest.mark.parametrize("sorting", ["at", "-at"])
async def test_a_walk_sees_every_entry_once(api_client: Any, sorting: str) -> None:
    """Paging by cursor returns each entry once, even at equal times or while others are added."""
    api_client.clock.stop()
    for _ in range(4):
        await api_client.run("terminated")
    query = {"sorting": sorting, "pagination[page_size]": "2"}
    seen: list[str] = []
    after: str | None = None
    while True:
        page = await api_client.get(
            "/audit", query if after is None else {**query, "pagination[after]": after}
        )
        seen += [one["id"] for one in page.summaries]
        after = page.body["pagination"]["next_after"]
        if after is None:
            break
        if len(seen) == 2 and sorting == "-at":
            api_client.clock.leap(seconds=1)
            await api_client.run("terminated")

    assert len(seen) == len(set(seen)) == 5
    assert page.body["pagination"]["item_count"] >= 5


async def test_a_deployment_reads_no_log(api_client: Any) -> None:
    """A deployment token cannot read the audit log."""
    run, _ = await _history(api_client)
    token = await api_client.deployment_token(run)

    refused = await api_client.get("/audit", token=token)

    assert "administer" in refused.refused(403, "not_permitted")["message"]
