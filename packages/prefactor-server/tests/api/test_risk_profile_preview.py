"""Previewing the scores of runs under other rules, without storing anything."""

from typing import Any

import pytest

TYPES = [
    {
        "name": "crm",
        "params_schema": {},
        "data_risk": {
            "params_data_categories": {"personal_identifiers": "included"},
            "result_data_categories": {"contact_information": "included"},
        },
    },
    {
        "name": "school",
        "params_schema": {},
        "data_risk": {"params_data_categories": {"minors_data": "included"}},
    },
]
PROFILE = {
    "name": "P",
    "category_weights": {
        "personal_identifiers": 8,
        "contact_information": 4,
        "minors_data": 5,
    },
    "thresholds": {"medium": 0, "high": 10, "critical": 41},
    "agreed_risk": "medium",
}
PATH = "/risk_profile/preview"


async def _scored(api_client: Any, *names: str, profile_id: str | None = None) -> Any:
    """A run with spans of these types, which has been counted."""
    agent = {"name": "A", "external_identifier": "agent-1", "risk_profile_id": profile_id}
    await api_client.post("/agent", {"details": agent})
    run = await api_client.run("active", agent_schema_version={"span_type_schemas": TYPES})
    for name in names:
        await api_client.span(run, schema_name=name)
    await api_client.follow()
    return run


async def test_a_preview_matches_the_saved_score(api_client: Any) -> None:
    """A run's score under changed rules is the score that it has after the change."""
    profile = (await api_client.post("/risk_profile", {"details": PROFILE})).details
    run = await _scored(api_client, "crm", "crm", "crm", "school", profile_id=profile["id"])
    change = {"category_weights": {"minors_data": 10}, "agreed_risk": "low"}
    asked = {"agent_instance_ids": [run["id"]], "risk_profile_id": profile["id"]}

    shown = (await api_client.post(PATH, {**asked, **change})).details

    (one,) = shown["runs"]
    assert one["now"] == {"score": 41, "level": "high", "exceeds_agreed_risk": True}
    assert one["preview"] == {"score": 10, "level": "medium", "exceeds_agreed_risk": True}
    assert (one["agent_instance_id"], one["risk_profile_id"]) == (run["id"], profile["id"])
    assert shown["derived"] == {"behind_seconds": 0, "complete": True}
    path = f"/risk_profile/{profile['id']}"
    assert (await api_client.get(path)).details == profile

    await api_client.call("PUT", path, {"details": change})
    saved = (await api_client.get(f"/agent_instance/{run['id']}")).details
    assert (saved["risk_score"], saved["risk_level"]) == (10, "medium")


async def test_a_new_profile_is_previewed(api_client: Any) -> None:
    """Runs without a profile have no current score, and missing rules get their defaults."""
    run = await _scored(api_client, "school")
    rules = {"ruleset": {"category_weights": {"minors_data": 4}}}

    nothing = await api_client.post(PATH, {"agent_instance_ids": [run["id"]]})
    nested = await api_client.post(PATH, {"agent_instance_ids": [run["id"]], **rules})

    for answer, score in ((nothing, 0), (nested, 4)):
        (one,) = answer.details["runs"]
        assert (one["now"], one["risk_profile_id"]) == (None, None)
        assert one["preview"]["score"] == score


async def test_runs_keep_their_order_and_unknown_ones_are_left_out(api_client: Any) -> None:
    """A run not yet counted has no score, and the answer says how far behind the count is."""
    first = await _scored(api_client, "crm")
    second = await api_client.run()
    (committed,) = await api_client.rows("SELECT max(at) FROM feed_change")
    api_client.clock.now = committed[0] + 5_000_000
    ids = [second["id"], "nobody", first["id"], second["id"]]

    shown = (await api_client.post(PATH, {"agent_instance_ids": ids, **PROFILE})).details

    assert [one["agent_instance_id"] for one in shown["runs"]] == [second["id"], first["id"]]
    assert shown["runs"][0]["preview"] is None
    assert shown["runs"][1]["preview"]["score"] == 12
    assert shown["derived"]["behind_seconds"] >= 5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "agent_instance_ids"),
        ({"agent_instance_ids": []}, "agent_instance_ids"),
        ({"agent_instance_ids": [f"r{n}" for n in range(51)]}, "agent_instance_ids"),
        ({"agent_instance_ids": ["r"], "thresholds": {"medium": 9, "high": 1}}, "thresholds"),
        ({"agent_instance_ids": ["r"], "wieghts": {}}, "wieghts"),
    ],
)
async def test_rules_that_cannot_be_saved_are_refused(
    api_client: Any, body: dict[str, Any], field: str
) -> None:
    """A preview refuses what a save would refuse, and names the field."""
    refused = (await api_client.post(PATH, body)).refused(422, "validation_errors")
    assert field in refused["errors"]


async def test_a_deleted_profile_is_not_previewed(api_client: Any) -> None:
    """An unknown or deleted profile is a 404, and a deployment token gets 403."""
    profile = (await api_client.post("/risk_profile", {"details": PROFILE})).details
    await api_client.call("DELETE", f"/risk_profile/{profile['id']}")
    token = await api_client.deployment_token(await api_client.run())

    for profile_id in ("nobody", profile["id"]):
        asked = {"agent_instance_ids": ["r"], "risk_profile_id": profile_id}
        (await api_client.post(PATH, asked)).refused(404, "not_found")
    asked = {"agent_instance_ids": ["r"]}
    (await api_client.post(PATH, asked, token=token)).refused(403, "not_permitted")
