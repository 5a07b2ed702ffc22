"""One client, two hundred tasks, and an unreliable server."""

from __future__ import annotations

import asyncio

import pytest

from patience import patience
from prefactor_http import PrefactorHttpClient
from prefactor_http.testing import FaultPlan, ScriptedServer

TASKS = 200
SPANS_PER_TASK = 3


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_write_is_applied_exactly_once(seed: int) -> None:
    """Two hundred tasks write each span once through a server that fails a third of exchanges."""
    # Drops, stalls, truncated replies and refusals, before and after the effect.
    plan = FaultPlan(
        seed=seed,
        drop_before=0.07,
        drop_after=0.07,
        stall=0.04,
        truncate=0.07,
        throttle=0.04,
        unavailable=0.04,
        stall_seconds=120.0,
    )
    ledger: dict[str, str] = {}
    async with ScriptedServer() as server:
        instance = server.add_instance()
        server.inject(plan)
        config = server.config(request_timeout=patience(3.0), max_retries=10)
        async with PrefactorHttpClient(config) as client:

            async def task(number: int) -> None:
                for n in range(SPANS_PER_TASK):
                    write = f"{number}-{n}"
                    span = await client.agent_spans.create(
                        instance, "chaos", "active", payload={"write": write}
                    )
                    await client.agent_spans.finish(span.id, "complete", {"of": write})
                    ledger[write] = span.id

            await asyncio.gather(*map(task, range(TASKS)))

    stored = {span["payload"]["write"]: span["id"] for span in server.spans.values()}
    assert len(ledger) == TASKS * SPANS_PER_TASK
    assert stored == ledger
    assert len(server.spans) == len(ledger)
    assert all(
        span["result_payload"] == {"of": span["payload"]["write"]} for span in server.spans.values()
    )
    assert server.instances[instance]["span_counts"]["complete"] == len(ledger)
    # Two writes per span, each under its own key; some were answered more than once.
    assert server.applied.total() == len(server.applied) == 2 * len(ledger)
    assert server.replayed.total() > 0
