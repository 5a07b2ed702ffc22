"""Risk profiles in the nested form of newer clients: a ruleset of plain numbers."""

from typing import Any

PARTS = ("category_weights", "action_multipliers", "thresholds")


async def _template(api_client: Any) -> Any:
    return (await api_client.get("/risk_profile/template", {"template_name": "default"})).details


async def _create(api_client: Any, **fields: Any) -> Any:
    return (await api_client.post("/risk_profile", {"details": {"name": "N", **fields}})).details


async def test_the_template_is_a_whole_ruleset(api_client: Any) -> None:
    """The default template has a number for every category, action and threshold."""
    template = await _template(api_client)

    assert (template["type"], template["name"]) == ("risk_profile_template", "default")
    assert template["ruleset"] == {part: template[part] for part in PARTS}
    assert [len(template[part]) for part in PARTS] == [17, 6, 3]
    assert min(template["category_weights"].values()) > 0
    assert (await api_client.get("/risk_profile/template")).details == template
    unknown = await api_client.get("/risk_profile/template", {"template_name": "odd"})
    assert list(unknown.refused(422, "validation_errors")["errors"]) == ["template_name"]


async def test_a_ruleset_is_stored_and_shown_in_both_forms(api_client: Any) -> None:
    """Numbers are stored as given; a null or missing value is that of the template."""
    template = await _template(api_client)
    ruleset = {
        "category_weights": {"minors_data": 2.5, "criminal_justice": None},
        "action_multipliers": {"read_data": 4},
        "thresholds": {"medium": 1, "high": 2, "critical": None},
    }

    made = await _create(api_client, ruleset=ruleset, agreed_data_risk="high")

    assert made["ruleset"] == {
        "category_weights": {**template["category_weights"], "minors_data": 2.5},
        "action_multipliers": {**template["action_multipliers"], "read_data": 4},
        "thresholds": {"medium": 1, "high": 2, "critical": 100},
    }
    assert made["category_weights"]["minors_data"] == {"weight": 2.5, "included": True}
    assert (made["agreed_risk"], made["agreed_data_risk"]) == ("high", "high")
    shown = await api_client.get(f"/risk_profile/{made['id']}")
    (row,) = (await api_client.get("/risk_profile")).summaries
    assert shown.details == row == made


async def test_null_means_the_template_in_both_forms(api_client: Any) -> None:
    """A null means the template's value, for a whole ruleset and for one entry of the flat form."""
    template = await _template(api_client)
    nulls = dict.fromkeys(PARTS)
    entries = {part: dict.fromkeys(template[part]) for part in PARTS}

    whole = await _create(api_client, ruleset=nulls)
    single = await _create(api_client, ruleset=entries)
    flat = await _create(api_client, category_weights={"minors_data": None, "criminal_justice": 1})

    assert whole["ruleset"] == single["ruleset"] == template["ruleset"]
    weights = flat["ruleset"]["category_weights"]
    assert weights["minors_data"] == template["category_weights"]["minors_data"]
    assert (weights["criminal_justice"], weights["financial_information"]) == (1, 0)


async def test_an_update_replaces_the_parts_of_a_ruleset_that_it_names(api_client: Any) -> None:
    """A part not in the update is unchanged, and a null part returns to the template's."""
    template = await _template(api_client)
    rules = {"category_weights": {"minors_data": 1}, "action_multipliers": {"read_data": 9}}
    made = await _create(api_client, ruleset=rules, agreed_risk="low")
    path = f"/risk_profile/{made['id']}"
    change = {"ruleset": {"category_weights": None, "thresholds": {"high": 60}}}

    changed = (await api_client.call("PUT", path, {"details": change})).details

    assert changed["ruleset"] == {
        "category_weights": template["category_weights"],
        "action_multipliers": made["ruleset"]["action_multipliers"],
        "thresholds": {"medium": 0, "high": 60, "critical": 100},
    }
    assert changed["agreed_data_risk"] == "low"
    cleared = await api_client.call("PUT", path, {"details": {"agreed_data_risk": None}})
    assert cleared.details["agreed_risk"] is cleared.details["agreed_data_risk"] is None


async def test_a_shown_profile_can_be_sent_back(api_client: Any) -> None:
    """A profile as it is shown, with both forms, is a valid update of itself."""
    off = {"minors_data": {"weight": 10, "included": False}, "criminal_justice": 4}
    made = await _create(api_client, category_weights=off)

    same = (await api_client.call("PUT", f"/risk_profile/{made['id']}", {"details": made})).details

    assert same == {**made, "updated_at": same["updated_at"]}
    assert same["ruleset"]["category_weights"]["minors_data"] == 0


async def test_scores_follow_a_ruleset(api_client: Any) -> None:
    """A profile created from a ruleset scores the runs of its agents."""
    made = await _create(api_client, ruleset={"category_weights": {"minors_data": 2}})
    await api_client.post(
        "/agent", {"details": {"name": "A", "id": "agent-1", "risk_profile_id": made["id"]}}
    )
    risk = {"params_data_categories": {"minors_data": "included"}}
    types = [{"name": "step", "params_schema": {}, "data_risk": risk}]
    run = await api_client.run(agent_schema_version={"span_type_schemas": types})
    await api_client.span(run)

    assert (await api_client.get(f"/agent_instance/{run['id']}")).details["risk_score"] == 2
