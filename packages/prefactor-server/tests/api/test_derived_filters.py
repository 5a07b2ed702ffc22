"""Finding runs by what the server derives from their spans: types, cost and risk."""

from decimal import Decimal
from typing import Any

import pytest
from indexing import follower_of_all
from tally import catch_up

from prefactor_server.domain.runs.cost import Price, PriceTable

TYPES = [
    {
        "name": "crm",
        "params_schema": {},
        "data_risk": {"params_data_categories": {"personal_identifiers": "included"}},
    }
]
PROFILE = {
    "name": "P",
    "category_weights": {"personal_identifiers": 8},
    "thresholds": {"medium": 0, "high": 10, "critical": 41},
}
USAGE = {"model": "small-1", "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0}}


@pytest.fixture
def prices() -> PriceTable:
    """One dollar for a million tokens."""
    return PriceTable("USD", (Price("small-*", Decimal(1), Decimal(3)),))


async def found(api_client: Any, **query: str) -> list[str]:
    """The ids of the runs that a query finds, in the order of ids."""
    return sorted(run["id"] for run in (await api_client.get("/agent_instance", query)).summaries)


async def test_runs_are_found_by_types_cost_and_risk(api_client: Any, prices: PriceTable) -> None:
    """Totals of spans can be filtered and counted, and the answer says how far behind they are."""
    profile = (await api_client.post("/risk_profile", {"details": PROFILE})).details
    agent = {"name": "A", "external_identifier": "agent-1", "risk_profile_id": profile["id"]}
    await api_client.post("/agent", {"details": agent})
    for number, spans in enumerate(([], ["crm"], ["crm", "crm", "llm"])):
        run = await api_client.run(
            "active", run_id=f"run-{number}", agent_schema_version={"span_type_schemas": TYPES}
        )
        for name in spans:
            payload = USAGE if name == "llm" else {}
            await api_client.span(run, schema_name=name, status="complete", payload=payload)
        await api_client.post(f"/agent_instance/{run['id']}/finish")
    before = (await api_client.get("/agent_instance", {"schema_name": "crm"})).body
    await catch_up(follower_of_all(api_client.storage, prices=prices))

    assert (before["summaries"], before["derived"]["complete"]) == ([], False)
    assert await found(api_client, schema_name="crm") == ["run-1", "run-2"]
    assert await found(api_client, schema_name="llm") == ["run-2"]
    assert await found(api_client, schema_name="cr") == []
    assert await found(api_client, schema_name="crm", status="complete", agent_id="agent-1") == [
        "run-1",
        "run-2",
    ]
    assert await found(api_client, risk_level="high") == ["run-2"]
    assert await found(api_client, min_cost="1") == ["run-2"]
    assert await found(api_client, min_cost="1.000000001") == []
    assert await found(api_client, min_cost="1", risk_level="high", schema_name="llm") == ["run-2"]
    page = (await api_client.get("/agent_instance", {"schema_name": "crm"})).body
    assert page["derived"] == {"behind_seconds": 0.0, "complete": True}
    assert "derived" not in (await api_client.get("/agent_instance")).body
    facets = (await api_client.get("/agent_instance/facets", {"schema_name": "crm"})).details
    assert facets["item_count"] == 2
    assert facets["derived"]["complete"] is True
    assert facets["facets"]["schema_name"]["values"] == [
        {"value": "crm", "count": 2},
        {"value": "llm", "count": 1},
    ]
    assert {"value": "high", "count": 1} in facets["facets"]["risk_level"]["values"]
    high = (await api_client.get("/agent_instance/facets", {"risk_level": "high"})).details
    assert high["item_count"] == 1
    assert {one["value"] for one in high["facets"]["schema_name"]["values"]} == {"crm", "llm"}


@pytest.mark.parametrize(
    ("name", "value"), [("risk_level", "none"), ("min_cost", "-1"), ("min_cost", "1.0000000001")]
)
async def test_a_filter_that_cannot_be_read_is_refused(
    api_client: Any, name: str, value: str
) -> None:
    """An unknown level and an amount that cannot be read are refused by name."""
    refused = await api_client.get("/agent_instance", {name: value})
    assert name in refused.refused(422, "validation_errors")["errors"]


async def test_runs_have_totals_on_request(api_client: Any, prices: PriceTable) -> None:
    """A list with totals shows each run's types, tokens and cost."""
    types = [{"name": "llm", "params_schema": {}, "template": "{{ goal }}"}]
    run = await api_client.run("active", agent_schema_version={"span_type_schemas": types})
    empty = await api_client.run("active")
    # The root comes last, and its id is not the first.
    root = {"schema_name": "llm", "payload": {"goal": "Refund"}, "status": "complete"}
    usage = {"schema_name": "llm", "payload": {**USAGE, "goal": "Plan"}, "status": "complete"}
    await api_client.span(run, id=f"{run['id']}.a", parent_span_id=f"{run['id']}.b", **usage)
    await api_client.span(run, id=f"{run['id']}.b", **root)

    async def rows() -> dict[str, Any]:
        query = {"include_totals": "true"}
        listed = (await api_client.get("/agent_instance", query)).summaries
        names = ("first_summary", "total_tokens", "total_cost", "currency")
        return {one["id"]: tuple(one[name] for name in names) for one in listed}

    before = await rows()
    await api_client.post(f"/agent_instance/{run['id']}/finish")
    await catch_up(follower_of_all(api_client.storage, prices=prices))

    assert before == {
        run["id"]: ("Refund", None, None, None),
        empty["id"]: (None, None, None, None),
    }
    assert (await rows())[run["id"]] == ("Refund", 1_000_000, 1.0, "USD")
    assert "total_tokens" not in (await api_client.get("/agent_instance")).summaries[0]
    assert (await api_client.get("/agent_instance", {"include_totals": "maybe"})).status == 422


async def test_scores_match_the_spans(api_client: Any) -> None:
    """A list shows the same scores before and after its runs are counted, and with spans since."""
    profile = (await api_client.post("/risk_profile", {"details": PROFILE})).details
    agent = {"name": "A", "external_identifier": "agent-1", "risk_profile_id": profile["id"]}
    await api_client.post("/agent", {"details": agent})
    runs = [
        await api_client.run("active", agent_schema_version={"span_type_schemas": TYPES})
        for _ in range(2)
    ]
    for name in ("crm", "crm", "llm"):
        await api_client.span(runs[0], schema_name=name, status="complete")

    async def scores() -> list[tuple[float, str]]:
        asked = {"include_risk_score": "true", "sorting": "id"}
        page = (await api_client.get("/agent_instance", asked)).summaries
        return [(run["risk_score"], run["risk_level"]) for run in page]

    counted_now = await scores()
    await catch_up(follower_of_all(api_client.storage))
    counted_before = await scores()
    await api_client.span(runs[1], schema_name="crm", status="complete")
    with_one_more = await scores()

    assert counted_now == counted_before == [(16.0, "high"), (0.0, "low")]
    assert with_one_more == [(16.0, "high"), (8.0, "medium")]
