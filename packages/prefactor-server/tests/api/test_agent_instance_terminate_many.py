"""Terminating many runs: the preview, and that no other run ends."""

from typing import Any

import pytest

PATH = "/agent_instance/terminate_many"


async def _ask(api_client: Any, **body: Any) -> Any:
    return (await api_client.post(PATH, body)).details


async def _statuses(api_client: Any, *runs: Any) -> list[str]:
    shown = [(await api_client.get(f"/agent_instance/{run['id']}")).details for run in runs]
    return [run["status"] for run in shown]


async def test_a_dry_run_shows_the_matching_runs(api_client: Any) -> None:
    """A dry run counts and names the active runs that match, and changes nothing."""
    runs = [await api_client.run(agent_id="agent-1") for _ in range(2)]
    await api_client.run("pending", agent_id="agent-1")
    await api_client.run("complete", agent_id="agent-1")
    await api_client.run(agent_id="agent-2")

    shown = await _ask(api_client, filters={"agent_id": "agent-1"}, dry_run=True)

    assert shown == {
        "type": "agent_instance_terminations",
        "dry_run": True,
        "matching": 2,
        "matching_is_exact": True,
        "ids": [run["id"] for run in runs],
        "terminated": [],
        "skipped": [],
    }
    assert await _statuses(api_client, *runs) == ["active", "active"]


async def test_exactly_the_named_runs_end(api_client: Any) -> None:
    """Only named runs end; those that started or ended since, or no longer match, are reported."""
    mine = [await api_client.run(agent_id="agent-1") for _ in range(3)]
    shown = await _ask(api_client, filters={"agent_id": "agent-1"}, dry_run=True)
    since = await api_client.run(agent_id="agent-1")
    other = await api_client.run(agent_id="agent-2")
    await api_client.post(f"/agent_instance/{mine[1]['id']}/finish")
    ids = [*shown["ids"], other["id"], "nobody"]

    done = await _ask(api_client, filters={"agent_id": "agent-1"}, ids=ids, reason="stuck")
    again = await _ask(api_client, ids=ids[:1], reason="stuck")

    assert done["terminated"] == [mine[0]["id"], mine[2]["id"]]
    assert {one["id"]: one["why"] for one in done["skipped"]} == {
        mine[1]["id"]: "not_active",
        other["id"]: "no_match",
        "nobody": "not_found",
    }
    assert again["skipped"] == [{"id": mine[0]["id"], "why": "not_active"}]
    assert await _statuses(api_client, *mine, since, other) == [
        "terminated",
        "complete",
        "terminated",
        "active",
        "active",
    ]
    query = {"action": "agent_instances.terminate"}
    audited = (await api_client.get("/audit", query)).summaries
    assert {one["resource_id"] for one in audited} == set(done["terminated"])
    assert {one["detail"] for one in audited} == {"stuck"}


async def test_many_runs_end_in_parts(api_client: Any) -> None:
    """One call terminates 100 runs, and the next dry run finds the rest."""
    for number in range(105):
        await api_client.run(run_id=f"run-{number:03}")
    left: list[int] = []
    for _ in range(2):
        shown = await _ask(api_client, dry_run=True)
        left.append(shown["matching"])
        await _ask(api_client, ids=shown["ids"], reason="stuck")

    assert left == [105, 5]
    assert (await _ask(api_client, dry_run=True))["matching"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "ids"),
        ({"ids": ["r"]}, "reason"),
        ({"ids": ["r"], "reason": " "}, "reason"),
        ({"ids": [], "reason": "x"}, "ids"),
        ({"ids": ["r"] * 101, "reason": "x"}, "ids"),
        ({"ids": ["r"], "dry_run": True}, "ids"),
        ({"filters": {"status": "gone"}, "dry_run": True}, "status"),
        ({"filters": {"abandoned": "perhaps"}, "dry_run": True}, "abandoned"),
    ],
)
async def test_an_ambiguous_request_is_refused(api_client: Any, body: Any, field: str) -> None:
    """A request without the runs to end or without a reason is refused, with the field named."""
    refused = await api_client.post(PATH, body)

    assert field in refused.refused(422, "validation_errors")["errors"]


@pytest.mark.parametrize("body", [{"filter": {}}, {"filters": {"agent": "a"}, "dry_run": True}])
async def test_an_unknown_field_or_filter_is_refused(api_client: Any, body: Any) -> None:
    """A misspelt field or filter is refused, because it would match other runs."""
    (await api_client.post(PATH, body)).refused(400, "bad_request")


async def test_a_deployment_cannot_terminate(api_client: Any) -> None:
    """Terminating many runs needs an account token, as for a single run."""
    run = await api_client.run()
    token = await api_client.deployment_token(run)
    body = {"ids": [run["id"]], "reason": "x"}

    (await api_client.post(PATH, body, token=token)).refused(403, "not_permitted")
    assert await _statuses(api_client, run) == ["active"]
