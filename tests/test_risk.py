"""Risk across the packages: profiles from the client, scores from the server."""

from collections.abc import AsyncIterator

import pytest

from live_server import LiveServer
from prefactor_http import (
    HttpClientConfig,
    PrefactorConflictError,
    PrefactorHttpClient,
    PrefactorNotFoundError,
    PrefactorValidationError,
    RiskProfileForUpdate,
)

WEIGHTS = {"personal_identifiers": 8, "contact_information": {"weight": 4, "included": True}}


@pytest.fixture
async def client(live_server: LiveServer) -> AsyncIterator[PrefactorHttpClient]:
    """A client of the server that the tests share."""
    async with PrefactorHttpClient(HttpClientConfig(live_server.url, live_server.token)) as client:
        yield client


async def test_a_profile_weighs_the_runs_of_its_agents(client: PrefactorHttpClient) -> None:
    """A profile created by the client gives a run of its agent a score that the client reads."""
    profile = await client.risk_profiles.create(
        name="Customers", category_weights=WEIGHTS, thresholds={"high": 30, "critical": 60}
    )
    declared = {
        "name": "crm",
        "params_schema": {"type": "object"},
        "data_risk": {
            "params_data_categories": {"personal_identifiers": "included"},
            "result_data_categories": {"contact_information": "included"},
        },
    }
    agent = await client.agents.create({"name": "Weighed", "risk_profile_id": profile.id})
    run = await client.agent_instances.register(
        agent_id=agent.id, agent_schema_version={"span_type_schemas": [declared]}
    )
    spans = [await client.agent_spans.create(run.id, "crm", "complete") for _ in range(3)]

    shown = await client.agent_instances.get(run.id)
    span = await client.agent_spans.get(spans[0].id)

    assert shown.risk_score == 36
    assert (span.risk_score, span.risk_level) == (12, "medium")


async def test_a_changed_profile_changes_earlier_scores(
    client: PrefactorHttpClient,
) -> None:
    """A profile that the client changes gives its agents' runs, and their spans, new levels."""
    profile = await client.risk_profiles.create(name="P", agreed_risk="low")
    declared = {
        "name": "crm",
        "title": "CRM",
        "params_schema": {},
        "data_risk": {"params_data_categories": {"personal_identifiers": "included"}},
    }
    agent = await client.agents.create({"name": "A", "risk_profile_id": profile.id})
    run = await client.agent_instances.register(
        agent_id=agent.id, agent_schema_version={"span_type_schemas": [declared]}
    )
    root = await client.agent_spans.create(run.id, "crm", "complete")
    await client.agent_spans.create(run.id, "crm", "active", parent_span_id=root.id)

    changes = RiskProfileForUpdate(category_weights=WEIGHTS, agreed_risk=None)
    changed = await client.risk_profiles.update(profile.id, changes)
    listed = await client.agent_spans.list(agent_instance_id=run.id, include_risk_level=True)
    plain = [span async for span in client.agent_spans.iterate(agent_instance_id=run.id)]
    walked = [
        span.risk_score
        async for span in client.agent_spans.iterate(
            agent_instance_id=run.id, include_risk_level=True
        )
    ]
    skeleton = await client.agent_instances.skeleton(run.id)

    assert (profile.agreed_risk, changed.agreed_risk, changed.name) == ("low", None, "P")
    assert [span.risk_score for span in listed] == walked == [8, 8]
    assert [span.risk_level for span in plain] == [None, None]
    assert (skeleton.total, skeleton.columns.parent) == (2, [None, 0])
    assert [one.title for one in skeleton.schemas] == ["CRM"]
    assert skeleton.columns.status == ["complete", "active"]


async def test_profiles_are_listed_and_deleted(client: PrefactorHttpClient) -> None:
    """The client finds the profiles that it created, page by page, until it deletes them."""
    made = [await client.risk_profiles.create(name=f"P{number}") for number in range(3)]
    again = await client.risk_profiles.create(name="Once", idempotency_key="make-it-once")
    same = await client.risk_profiles.create(name="Once", idempotency_key="make-it-once")

    found = [one.id async for one in client.risk_profiles.iterate(page_size=2)]
    first = await client.risk_profiles.get(made[0].id)
    deleted = await client.risk_profiles.delete(made[0].id)

    assert same == again
    assert {*(one.id for one in made), again.id} <= set(found)
    assert first == made[0]
    assert deleted is not None
    assert deleted.id == made[0].id
    with pytest.raises(PrefactorNotFoundError):
        await client.risk_profiles.get(made[0].id)


async def test_errors_reach_the_client(client: PrefactorHttpClient) -> None:
    """An invalid weight and a used key raise their own errors in the client."""
    with pytest.raises(PrefactorValidationError) as caught:
        await client.risk_profiles.create(name="P", category_weights={"minors_data": 11})
    await client.risk_profiles.create(name="One", idempotency_key="used-before")
    with pytest.raises(PrefactorConflictError):
        await client.risk_profiles.create(name="Two", idempotency_key="used-before")

    assert "category_weights" in caught.value.errors["details"]
