"""Two accounts whose runs and spans have the same ids, as callers may choose them."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from api_client import ApiClient
from people import in_another_account

from prefactor_server.domain.runs.cost import Price, PriceTable
from prefactor_server.storage.feed import Derived
from prefactor_server.upkeep import AbandonedRuns, SilenceLimits

STATUSES = {2: "failed", 3: "terminated"}


@pytest.fixture
def prices() -> PriceTable:
    """A price of one dollar for each token."""
    return PriceTable("USD", (Price("m", Decimal(1_000_000), Decimal(1_000_000)),))


async def _record(client: ApiClient, spans: int) -> None:
    """Record a run with a number of model calls of as many tokens, and an open step."""
    run = await client.register("run", agent_id="agent", metadata={"spans": str(spans)})
    await client.post("/agent_instance/run/start")
    for number in range(spans):
        call = {"id": f"call-{number}", "schema_name": f"llm-{spans}"}
        await client.span(run, **call, payload={"q": f"word-{spans}"})
        usage = {"model": "m", "usage": {"prompt_tokens": spans, "completion_tokens": 0}}
        await client.post(f"/agent_spans/call-{number}/finish", {"result_payload": usage})
    await client.span(run, id="open", payload={"q": f"word-{spans}"})
    if STATUSES[spans] == "terminated":
        await client.post("/agent_instance/run/terminate", {"reason": "enough"})
    else:
        await client.post("/agent_instance/run/finish", {"status": STATUSES[spans]})


async def _seen(client: ApiClient, spans: int) -> Any:
    """Return what an account reads of that run."""
    run = (await client.get("/agent_instance/run")).details
    skeleton = (await client.get("/agent_instance/run/skeleton")).details["columns"]
    by_id = (await client.get("/agent_spans", {"ids": "call-0,open"})).summaries
    listed = (await client.get("/agent_spans", {"agent_instance_id": "run"})).summaries
    facets = (await client.get("/agent_instance/facets")).details["facets"]["schema_name"]
    series = (await client.get("/agent/agent/series")).details
    alerts = (await client.get("/alerts")).summaries
    sent = (await client.get("/webhook_delivery")).summaries
    # An id that both accounts have, and text that only one of them has.
    found = {
        other: [one["match"]["span_id"] for one in answer.summaries]
        for other in STATUSES
        if (answer := await client.get("/agent_instance", {"text": f"word-{other}"}))
    }
    return {
        "status": run["status"],
        "spans": [run["span_counts"][name] for name in ("complete", "active", "cancelled")],
        "cost": run["cost_breakdown"]["total_cost"],
        "types": run["span_schema_counts"]["by_name"],
        "metadata": run["metadata"],
        "tokens": skeleton["total_tokens"],
        "texts": {one["payload"]["q"] for one in [*by_id, *listed]},
        "read": (len(by_id), len(listed)),
        "facets": sorted(one["value"] for one in facets["values"]),
        "prompt_tokens": [sum(one["prompt_tokens"]) for one in series["models"]],
        "runs": {status: sum(series["runs"][status]) for status in STATUSES.values()},
        "alerts": [one["name"] for one in alerts],
        "sent": sorted(one["event_type"] for one in sent),
        "found": found,
    }


def _expected(spans: int) -> Any:
    is_open = STATUSES[spans] == "failed"
    ended = f"run.{STATUSES[spans]}"
    return {
        "status": STATUSES[spans],
        "spans": [spans, int(is_open), int(not is_open)],
        "cost": float(spans * spans),
        "types": {f"llm-{spans}": spans, "step": 1},
        "metadata": {"spans": str(spans)},
        "tokens": [*[spans] * spans, None],
        "texts": {f"word-{spans}"},
        "read": (2, spans + 1),
        "facets": [f"llm-{spans}", "step"],
        "prompt_tokens": [spans * spans],
        "runs": {status: int(status == STATUSES[spans]) for status in STATUSES.values()},
        "alerts": [ended],
        "sent": [ended],
        "found": {other: ["open"] if other == spans else [] for other in STATUSES},
    }


async def test_each_account_has_its_own_figures(api_client: ApiClient) -> None:
    """Status, tokens, cost, series, matches, alerts and events are those of the own run."""
    clients = {2: api_client, 3: await in_another_account(api_client)}
    await api_client.follow()
    for client in clients.values():
        events = ["run.failed", "run.terminated"]
        details = {"url": "http://127.0.0.1:9/hook", "events": events}
        assert (await client.post("/webhook", {"details": details})).status == 200
    await asyncio.gather(*(_record(client, spans) for spans, client in clients.items()))
    before = [(await one.get("/agent_instance/run")).details for one in clients.values()]
    await api_client.follow()

    assert [one["cost_breakdown"]["total_cost"] for one in before] == [4.0, 9.0]
    for spans, client in clients.items():
        assert await _seen(client, spans) == _expected(spans)
    feed = api_client.storage.feed
    for name, state in (await feed.states()).items():
        if name != "webhooks":
            await feed.advance(state, state._replace(backfill="reset"), Derived())
    await api_client.follow()
    for spans, client in clients.items():
        assert await _seen(client, spans) == _expected(spans)


async def _beat(client: ApiClient, *ids: str) -> None:
    answer = await client.post("/agent_instance/heartbeat", {"ids": ids})
    assert answer.details["unknown_ids"] == []


async def _abandoned(client: ApiClient) -> list[str]:
    return [
        one["id"] for one in (await client.get("/agent_instance", {"abandoned": "true"})).summaries
    ]


async def test_each_account_has_its_own_silence(api_client: ApiClient) -> None:
    """A run is abandoned when its own agent is silent, not when another account's is."""
    other = await in_another_account(api_client)
    limits = SilenceLimits.of(15, 0, 7)
    storage, clock = api_client.storage, api_client.clock
    watch = AbandonedRuns(storage, api_client.writer, limits, holder="test", now_us=clock)
    ids = ("beating", "quiet")
    for client in (api_client, other):
        for run_id in ids:
            await client.register(run_id)
            await client.post(f"/agent_instance/{run_id}/start")
    await _beat(api_client, "beating")
    for _ in range(20):
        await _beat(other, *ids)
        await watch.turn(api_client.heartbeats)
        clock.leap(seconds=60)
    assert (await _abandoned(api_client), await _abandoned(other)) == (["beating"], [])

    clock.leap(seconds=8 * 86_400)
    for _ in range(3):
        await _beat(other, *ids)
        await watch.turn(api_client.heartbeats)
        clock.leap(seconds=3700)
    assert (await _abandoned(api_client), await _abandoned(other)) == ([*ids], [])
