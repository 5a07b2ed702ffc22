"""The default order of a list is oldest first, even for rows created within a millisecond."""

from typing import Any

import pytest

COUNT = 60


@pytest.fixture
async def instant(api_client: Any) -> Any:
    """A server with a stopped clock."""
    api_client.clock.stop()
    return api_client


def _items(kind: str, count: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"_type": kind, "idempotency_key": f"{kind}-{number:04}", **fields}
        for number in range(count)
    ]


async def _made(api_client: Any, items: list[dict[str, Any]]) -> list[str]:
    """Return the ids that a bulk request created, in the order of its items."""
    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]
    return [outputs[item["idempotency_key"]]["details"]["id"] for item in items]


async def _listed(api_client: Any, path: str, **query: str) -> list[str]:
    answer = await api_client.get(path, {"pagination[page_size]": "100", **query})
    return [one["id"] for one in answer.summaries]


async def test_a_list_keeps_the_order_of_bulk_items(instant: Any) -> None:
    """Runs, spans and agents of one bulk request are listed in the order of its items."""
    run = await instant.register("run-1")
    agent = {"agent_id": run["agent_id"]}
    span = {"agent_instance_id": "run-1", "schema_name": "step"}

    runs = await _made(instant, _items("agent_instances/register", COUNT, agent_id="other"))
    spans = await _made(instant, _items("agent_spans/create", COUNT, **span))
    agents = await _made(instant, _items("agents/create", COUNT, details={"name": "same"}))

    assert [one for one in await _listed(instant, "/agent_instance") if one != "run-1"] == runs
    assert await _listed(instant, "/agent_spans", agent_instance_id="run-1") == spans
    assert [one for one in await _listed(instant, "/agent") if one in agents] == agents
    assert agent["agent_id"] < agents[0]


async def test_requests_one_after_another_are_in_order(instant: Any) -> None:
    """Objects that single requests create within a millisecond are listed in order."""
    made = [(await instant.register())["id"] for _ in range(10)]

    assert await _listed(instant, "/agent_instance") == made
    assert await _listed(instant, "/agent_instance", sorting="-id") == made[::-1]


async def test_generated_ids_are_in_order(instant: Any) -> None:
    """A thousand generated ids are in ascending order, without duplicates."""
    pfids = (await instant.post("/pfid/generate", {"count": 1000})).details["pfids"]

    assert pfids == sorted(set(pfids))
    assert len(pfids) == 1000
