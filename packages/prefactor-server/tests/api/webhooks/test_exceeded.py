"""Webhook events for a run that exceeds its cost limit or its agreed risk."""

from decimal import Decimal
from typing import Any

import pytest
from api_client import ApiClient
from webhook_receiver import Receiver

from prefactor_server.domain.runs.cost import Price, PriceTable

TYPES = [
    {"name": "llm", "params_schema": {}},
    {
        "name": "school",
        "params_schema": {},
        "data_risk": {"params_data_categories": {"minors_data": "included"}},
    },
]
A_DOLLAR = {"model": "small-1", "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0}}


@pytest.fixture
def prices() -> PriceTable:
    """One dollar for a million tokens."""
    return PriceTable("USD", (Price("small-*", Decimal(1), Decimal(3)),))


async def _limited_run(api_client: ApiClient, **limits: Any) -> Any:
    details = {"name": "A", "external_identifier": "agent-1", **limits}
    assert (await api_client.post("/agent", {"details": details})).status == 200
    return await api_client.run("active", agent_schema_version={"span_type_schemas": TYPES})


async def _spend(api_client: ApiClient, run: Any, dollars: int) -> None:
    for _ in range(dollars):
        await api_client.span(run, schema_name="llm", status="complete", payload=A_DOLLAR)
    await api_client.send_webhooks()


async def test_a_run_over_its_cost_limit_sends_one_event(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """Exceeding the limit sends one event, however much more is spent; reaching it sends none."""
    run = await _limited_run(api_client, run_cost_limit=2)
    await _spend(api_client, run, 2)
    assert receiver.types == []

    await _spend(api_client, run, 1)
    await _spend(api_client, run, 2)
    (received,) = receiver.received
    assert received.is_signed_with(webhook["secret"])
    told = received.event["data"]
    assert (received.event["type"], told["run"]["id"]) == ("cost.exceeded", run["id"])
    assert told["alert"]["name"] == "cost.exceeded"
    assert told["alert"]["payload"] == {
        "total_cost": 3,
        "currency": "USD",
        "run_cost_limit": 2,
    }
    (alert,) = (await api_client.get("/alerts", {"name": "cost.exceeded"})).summaries
    assert told["alert"]["id"] == alert["id"]


async def test_a_raised_limit_that_is_exceeded_sends_another_event(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """A raised limit clears the alert, and exceeding the new limit sends another event."""
    del webhook
    run = await _limited_run(api_client, run_cost_limit=1)
    await _spend(api_client, run, 2)
    path = f"/agent/{run['agent_id']}"
    assert (await api_client.call("PUT", path, {"details": {"run_cost_limit": 3}})).status == 200
    await _spend(api_client, run, 1)
    assert (await api_client.get("/alerts", {"status": "raised"})).summaries == []
    await _spend(api_client, run, 1)

    assert receiver.types == ["cost.exceeded"] * 2
    assert len({one.id for one in receiver.received}) == 2


async def test_a_run_above_its_agreed_risk_sends_one_event(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """The first span above the agreed risk sends an event with the alert; later ones do not."""
    del webhook
    weights = {"category_weights": {"minors_data": 5}, "agreed_risk": "low"}
    profile = (
        await api_client.post("/risk_profile", {"details": {"name": "P", **weights}})
    ).details
    run = await _limited_run(api_client, risk_profile_id=profile["id"])
    for _ in range(3):
        await api_client.span(run, schema_name="school")
        await api_client.send_webhooks()

    (received,) = receiver.received
    alert = received.event["data"]["alert"]
    assert (received.event["type"], alert["name"]) == ("risk.exceeded", "risk.exceeded")
    assert (alert["payload"]["risk_level"], alert["payload"]["agreed_risk"]) == ("medium", "low")
    assert received.event["data"]["run"]["id"] == run["id"]
