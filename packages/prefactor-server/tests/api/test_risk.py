"""Scores, levels and costs through the API: computed when they are read."""

from decimal import Decimal
from typing import Any

import pytest

from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.risk.risk_score import CLASSIFICATIONS, Weights
from prefactor_server.domain.runs.cost import Price, PriceTable

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
        "data_risk": {
            "action_profile": {"read_data": "allowed", "destroy_data": "allowed"},
            "params_data_categories": {"minors_data": "included", "classification": "secret"},
        },
    },
    {"name": "plain", "params_schema": {}},
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


@pytest.fixture
def prices() -> PriceTable:
    """A price for one family of models."""
    return PriceTable("USD", (Price("small-*", Decimal(1), Decimal(3)),))


async def _weighed(api_client: Any, **fields: Any) -> Any:
    """A profile, and a run of an agent that has it."""
    profile = (await api_client.post("/risk_profile", {"details": {**PROFILE, **fields}})).details
    agent = {"name": "A", "external_identifier": "agent-1", "risk_profile_id": profile["id"]}
    await api_client.post("/agent", {"details": agent})
    run = await api_client.run("active", agent_schema_version={"span_type_schemas": TYPES})
    return profile, run


async def _spans(api_client: Any, run: Any, *names: str) -> None:
    for name in names:
        await api_client.span(run, schema_name=name)


async def test_a_run_scores_the_documented_example(api_client: Any) -> None:
    """Three spans of 12 and one of 5 score 41 wherever the run is shown."""
    profile, run = await _weighed(api_client)
    await _spans(api_client, run, "crm", "crm", "crm", "school", "plain", "unheard-of")

    details = (await api_client.get(f"/agent_instance/{run['id']}")).details
    (listed,) = (await api_client.get("/agent_instance", {"include_risk_score": "true"})).summaries

    assert (details["risk_score"], details["risk_level"]) == (41, "high")
    assert (listed["risk_score"], listed["risk_level"]) == (41, "high")
    breakdown = details["risk_breakdown"]
    assert breakdown["risk_profile_id"] == profile["id"]
    assert (breakdown["agreed_risk"], breakdown["exceeds_agreed_risk"]) == ("medium", True)
    parts = {one["schema_name"]: one for one in breakdown["span_types"]}
    assert {name: one["score"] for name, one in parts.items()} == {
        "crm": 36,
        "school": 5,
        "plain": 0,
        "unheard-of": 0,
    }
    assert parts["crm"]["category_weights"] == {"personal_identifiers": 8, "contact_information": 4}
    assert (parts["crm"]["spans"], parts["crm"]["span_score"]) == (3, 12)
    assert parts["school"]["action_multipliers"] == {"read_data": 1, "destroy_data": 1}


async def test_a_changed_profile_changes_old_scores(api_client: Any) -> None:
    """A score changes with the profile's multipliers, and is null when the profile is deleted."""
    profile, run = await _weighed(api_client)
    await _spans(api_client, run, "school")
    path, of_profile = f"/agent_instance/{run['id']}", f"/risk_profile/{profile['id']}"

    change = {"details": {"action_multipliers": {"destroy_data": 4, "read_data": 2}}}
    await api_client.call("PUT", of_profile, change)
    changed = (await api_client.get(path)).details
    await api_client.call("DELETE", of_profile)
    without = (await api_client.get(path)).details

    assert (changed["risk_score"], changed["risk_level"]) == (20, "high")
    assert without["risk_score"] is without["risk_level"] is without["risk_breakdown"] is None
    assert (await api_client.get("/agent_instance")).summaries[0]["risk_score"] is None
    agent = (await api_client.get("/agent/agent-1")).details
    assert agent["risk_profile_id"] == profile["id"]


@pytest.mark.parametrize("value", ["true", "false", "whatever"])
async def test_asking_for_scores_never_fails(api_client: Any, value: str) -> None:
    """Every list of runs accepts include_risk_score; without a profile the score is null."""
    run = await api_client.run()
    query = {"include_risk_score": value}

    details = (await api_client.get(f"/agent_instance/{run['id']}", query)).details
    (listed,) = (await api_client.get("/agent_instance", query)).summaries

    assert details["risk_score"] is details["risk_breakdown"] is listed["risk_score"] is None


async def test_runs_of_several_agents_share_a_page(api_client: Any) -> None:
    """On one page, each run is scored by its own agent's profile, or not at all."""
    _, first = await _weighed(api_client)
    await _spans(api_client, first, "crm")
    bare = await api_client.run("active", agent_id="agent-2")
    await api_client.span(bare, schema_name="crm")

    summaries = (await api_client.get("/agent_instance")).summaries

    found = {one["id"]: one["risk_score"] for one in summaries}
    assert found == {first["id"]: 12, bare["id"]: None}


async def test_a_page_decodes_each_profile_once(
    api_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of runs with scores reads the weights of a profile once, not for every run."""
    _, run = await _weighed(api_client)
    await _spans(api_client, run, "crm")
    for _ in range(4):
        await _spans(api_client, await api_client.run("active"), "crm")
    decoded: list[str] = []
    weights = RiskProfile.weights

    def counting(profile: RiskProfile) -> Weights:
        decoded.append(profile.id)
        return weights(profile)

    monkeypatch.setattr(RiskProfile, "weights", counting)
    listed = await api_client.get("/agent_instance", include_risk_score="true")

    assert len([one for one in listed.summaries if one["risk_score"] is not None]) == 5
    assert len(decoded) == 1


async def test_spans_have_levels_on_request(api_client: Any) -> None:
    """With include_risk_level, lists give each span its score and level; a single span has both."""
    _, run = await _weighed(api_client)
    await _spans(api_client, run, "crm", "school", "plain")
    query = {"agent_instance_id": run["id"]}

    plain = (await api_client.get("/agent_spans", query)).summaries
    asked = (
        await api_client.get("/agent_spans", {**query, "include_risk_level": "true"})
    ).summaries
    one = (await api_client.get(f"/agent_spans/{asked[0]['id']}")).details

    assert [span["risk_level"] for span in plain] == [None] * 3
    assert [(span["risk_score"], span["risk_level"]) for span in asked] == [
        (12, "high"),
        (5, "medium"),
        (0, "low"),
    ]
    assert (one["risk_score"], one["risk_level"]) == (12, "high")
    refused = await api_client.get("/agent_spans", {**query, "include_risk_level": "maybe"})
    refused.refused(422, "validation_errors")


async def test_cost_follows_the_operators_prices(api_client: Any) -> None:
    """A run's cost covers its models with a price; spans of other models are counted."""
    run = await api_client.run()
    for model, usage in (
        ("small-1", {"prompt_tokens": 1_000_000, "completion_tokens": 500_000}),
        ("small-1", {"prompt_tokens": 1_000_000}),
        ("large", {"prompt_tokens": 10, "completion_tokens": 10}),
        ("small-2", {"total_tokens": 10}),
        ("small-1", {}),
    ):
        await api_client.span(run, payload={"model": model, "token_usage": usage})

    cost = (await api_client.get(f"/agent_instance/{run['id']}")).details["cost_breakdown"]

    assert (cost["total_cost"], cost["currency"], cost["unpriced_spans"]) == (3.5, "USD", 2)
    assert (cost["input_cost"], cost["output_cost"]) == (2, 1.5)
    assert {one["model"]: one["cost"] for one in cost["by_model"]} == {
        "large": None,
        "small-1": 3.5,
        "small-2": None,
    }
    small = {"model": "small-1", "spans": 3, "input_tokens": 2_000_000, "output_tokens": 500_000}
    costs = {"input_cost": 2, "output_cost": 1.5, "total_cost": 3.5}
    assert cost["groups"][1] == {**small, **costs}
    assert [one["total_cost"] for one in cost["groups"]] == [None, 3.5, None]


async def test_a_run_without_tokens_costs_nothing(api_client: Any) -> None:
    """A run without usage costs zero, which is not unknown."""
    run = await api_client.run()

    cost = (await api_client.get(f"/agent_instance/{run['id']}")).details["cost_breakdown"]

    nothing = {"total_cost": 0, "input_cost": 0, "output_cost": 0, "unpriced_spans": 0}
    assert cost == {**nothing, "currency": "USD", "by_model": [], "groups": []}


async def test_a_deployment_token_sees_the_scores_of_its_runs(api_client: Any) -> None:
    """A caller who may read a run may read its score and cost."""
    _, run = await _weighed(api_client)
    await _spans(api_client, run, "crm")
    token = await api_client.deployment_token(run)

    details = (await api_client.get(f"/agent_instance/{run['id']}", token=token)).details

    assert (details["risk_score"], details["cost_breakdown"]["total_cost"]) == (12, 0)


async def test_an_agent_has_two_rollups(api_client: Any) -> None:
    """The theoretical rollup counts declared types, the observed one counts spans."""
    _, run = await _weighed(api_client)
    await _spans(api_client, run, "crm", "crm", "school", "unheard-of")
    mailer = {**TYPES[0], "name": "mail", "data_risk": {"action_profile": {}}}
    mailer["data_risk"]["action_profile"] = {"external_communication": "allowed"}
    await api_client.run("active", agent_schema_version={"span_type_schemas": [*TYPES, mailer]})
    query = {"include_risk_rollup": "true"}

    plain = (await api_client.get("/agent/agent-1")).details
    agent = (await api_client.get("/agent/agent-1", query)).details
    elsewhere = (await api_client.get("/agent/agent-1", {**query, "environment_id": "e"})).details

    assert plain["theoretical_risk_rollup"] is plain["observed_risk_rollup"] is None
    theoretical, observed = agent["theoretical_risk_rollup"], agent["observed_risk_rollup"]
    categories = ["personal_identifiers", "contact_information", "minors_data"]
    assert theoretical == {
        "data_categories": categories,
        "span_types_with_risk_data": 3,
        "span_types_without_risk_data": 1,
        "classification_counts": {**dict.fromkeys(CLASSIFICATIONS, 0), "unknown": 3, "secret": 1},
        "external_communication_count": 1,
        "highest_classification": "secret",
        "total": 4,
    }
    assert observed["data_categories"] == categories
    assert (observed["total"], observed["external_communication_count"]) == (4, 0)
    assert observed["classification_counts"]["secret"] == 1
    assert observed["span_types_without_risk_data"] == 1
    assert elsewhere["observed_risk_rollup"]["total"] == 0
    token = await api_client.deployment_token(run)
    own = (await api_client.get("/agent/agent-1", query, token=token)).details
    assert own == {**agent, "last_run_at": None}  # it may have been in another environment


async def test_an_agent_has_an_assessment(api_client: Any) -> None:
    """An agent shows its assessed types, what they may see and do, and the worst score."""
    _, run = await _weighed(api_client)
    await _spans(api_client, run, "school", "unheard-of")
    mailer = {**TYPES[0], "name": "mail", "data_risk": {"action_profile": {}}}
    mailer["data_risk"]["action_profile"] = {"external_communication": "allowed"}
    await api_client.run("active", agent_schema_version={"span_type_schemas": [*TYPES, mailer]})
    await api_client.run(
        "active", agent_id="bare", agent_schema_version={"span_type_schemas": TYPES}
    )
    query = {"include_risk_rollup": "true"}

    shown = (await api_client.get("/agent/agent-1", query)).body
    found = (await api_client.get("/agent/show", {**query, "agent_id": "bare"})).body
    plain = (await api_client.get("/agent/agent-1")).body

    observed, theoretical = (shown["risk_rollup"][f"{x}_risk"] for x in ("observed", "theoretical"))
    assert observed["assessed_span_types"] == ["school"]
    assert observed["all_data_categories"] == ["minors_data"]
    assert observed["all_actions"] == ["read_data", "destroy_data"]
    assert observed["max_score"] == 5
    assert theoretical["assessed_span_types"] == ["crm", "mail", "school"]
    assert "external_communication" in theoretical["all_actions"]
    assert theoretical["max_score"] == 12
    assert found["risk_rollup"]["observed_risk"]["assessed_span_types"] == []
    assert found["risk_rollup"]["theoretical_risk"]["max_score"] is None
    assert "risk_rollup" not in plain
