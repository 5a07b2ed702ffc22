"""Finding a run by either of its names, and the figures in the answer."""

from typing import Any

import pytest

ALL = {
    "include_counts": "span_schema_counts",
    "include_costs": "cost_breakdown",
    "include_risk_score": "risk_score",
    "include_alert_count": "raised_alert_count",
}
TYPES = [
    {
        "name": "school",
        "params_schema": {},
        "data_risk": {"params_data_categories": {"minors_data": "included"}},
    }
]


async def _weighed(api_client: Any, **fields: Any) -> Any:
    """A run whose agent has a profile that puts it above the agreed risk."""
    rules = {"category_weights": {"minors_data": 5}, "agreed_risk": "low"}
    profile = (await api_client.post("/risk_profile", {"details": {"name": "P", **rules}})).details
    details = {"name": "A", "external_identifier": "risky", "risk_profile_id": profile["id"]}
    await api_client.post("/agent", {"details": details})
    declared = {"span_type_schemas": TYPES}
    return await api_client.run(agent_id="risky", agent_schema_version=declared, **fields)


async def test_a_run_is_found_by_either_name(api_client: Any) -> None:
    """A run's id and its external identifier find it, with the same answer as its own path."""
    run = await api_client.run(external_identifier="nightly")
    shown = (await api_client.get(f"/agent_instance/{run['id']}")).details
    find = "/agent_instance/show"

    assert (await api_client.get(find, {"agent_instance_id": run["id"]})).details == shown
    assert (await api_client.get(find, {"external_identifier": "nightly"})).details == shown
    for missing in ({"agent_instance_id": "nobody"}, {"external_identifier": run["id"]}):
        (await api_client.get(find, missing)).refused(404, "not_found")
    both = {"agent_instance_id": run["id"], "external_identifier": "nightly"}
    for asked in ({}, both, {"agent_id": "agent-1"}):
        (await api_client.get(find, asked)).refused(400, "bad_request")


async def test_a_name_that_several_agents_use_is_a_conflict(api_client: Any) -> None:
    """A name shared by several agents is a conflict, unless the caller sees only one of them."""
    mine = await api_client.run(external_identifier="nightly")
    await api_client.run(external_identifier="nightly", agent_id="agent-2")
    token = await api_client.deployment_token(mine)
    asked = {"external_identifier": "nightly"}

    conflict = (await api_client.get("/agent_instance/show", asked)).refused(409, "invalid_action")
    own = (await api_client.get("/agent_instance/show", asked, token=token)).details

    assert "several agents" in conflict["message"]
    assert own["id"] == mine["id"]


async def test_a_run_of_another_agent_is_not_found(api_client: Any) -> None:
    """A deployment token finds no run of another agent, by either name."""
    token = await api_client.deployment_token(await api_client.run())
    other = await api_client.run(external_identifier="theirs", agent_id="agent-2")

    for asked in ({"agent_instance_id": other["id"]}, {"external_identifier": "theirs"}):
        found = await api_client.get("/agent_instance/show", asked, token=token)
        found.refused(404, "not_found")


@pytest.mark.parametrize("left_out", ALL)
async def test_figures_can_be_omitted(api_client: Any, left_out: str) -> None:
    """Every figure is returned by default, and null on request."""
    run = await _weighed(api_client)
    await api_client.span(run, schema_name="school")

    for path in ("/agent_instance/show", f"/agent_instance/{run['id']}"):
        named = {"agent_instance_id": run["id"]} if path.endswith("show") else {}
        plain = (await api_client.get(path, named)).details
        asked = (await api_client.get(path, {**named, **dict.fromkeys(ALL, "true")})).details
        without = (await api_client.get(path, {**named, left_out: "false"})).details
        assert asked == plain
        assert {name for name in ALL.values() if plain[name] is None} == set()
        assert [name for name in ALL.values() if without[name] is None] == [ALL[left_out]]
        assert (await api_client.get(path, {**named, left_out: "whatever"})).details == plain


async def test_a_run_has_its_last_activity(api_client: Any) -> None:
    """A run's last activity is the latest start or end of a span, or null without spans."""
    run = await api_client.run()
    path = f"/agent_instance/{run['id']}"
    before = (await api_client.get(path)).details
    await api_client.span(run, status="pending")
    pending = (await api_client.get(path)).details
    first = await api_client.span(run, started_at="2026-03-01T00:00:00Z", schema_name="a")
    await api_client.span(run, started_at="2026-02-01T00:00:00Z", schema_name="b")
    started = (await api_client.get(path)).details
    end = {"timestamp": "2026-03-02T00:00:00Z"}
    await api_client.post(f"/agent_spans/{first['id']}/finish", end)
    finished = (await api_client.get(path)).details

    moments = [one["last_activity_span_at"] for one in (before, pending, started, finished)]
    assert moments[:2] == [None, None]
    assert moments[2:] == ["2026-03-01T00:00:00.000000Z", "2026-03-02T00:00:00.000000Z"]


async def test_a_run_counts_the_alerts_about_it(api_client: Any) -> None:
    """The count includes every alert about the run: a failure, and risk above the agreed level."""
    run = await _weighed(api_client)
    path = f"/agent_instance/{run['id']}"
    counts = [(await api_client.get(path)).details["raised_alert_count"]]
    await api_client.span(run, schema_name="school")
    await api_client.follow()
    counts.append((await api_client.get(path)).details["raised_alert_count"])
    await api_client.post(f"{path}/terminate", {"reason": "enough"})
    await api_client.follow()
    counts.append((await api_client.get(path)).details["raised_alert_count"])
    fine = await api_client.run("complete")
    counts.append(
        (await api_client.get(f"/agent_instance/{fine['id']}")).details["raised_alert_count"]
    )

    assert counts == [0, 1, 2, 0]
    assert (await api_client.get("/alerts/count")).body["count"] == 2


async def test_a_run_is_found_in_bulk(api_client: Any) -> None:
    """A bulk request finds a run as a single request does."""
    run = await api_client.run(external_identifier="nightly")
    item = {"_type": "agent_instances/find", "idempotency_key": "key-0001"}

    items = [{**item, "external_identifier": "nightly", "include_costs": False}]
    output = (await api_client.post("/bulk", {"items": items})).body["outputs"]["key-0001"]

    assert (output["details"]["id"], output["details"]["cost_breakdown"]) == (run["id"], None)
