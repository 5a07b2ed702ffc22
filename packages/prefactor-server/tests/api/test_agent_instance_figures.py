"""The figures of a run are always available, and its spans are counted only while they change."""

from decimal import Decimal
from typing import Any

import pytest
from indexing import follower_of_all
from tally import catch_up

from prefactor_server.domain.runs.cost import Price, PriceTable

USAGE = {"model": "small-1", "usage": {"prompt_tokens": 123_457, "completion_tokens": 7}}


@pytest.fixture
def prices() -> PriceTable:
    """Two prices for a million tokens."""
    return PriceTable("USD", (Price("small-*", Decimal("1.1"), Decimal("3.3")),))


async def test_spans_are_read_only_while_they_change(
    api_client: Any, prices: PriceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures are equal before and after a run is counted, and include a new span at once."""
    monkeypatch.setattr("prefactor_server.queries.risk._FEW_SPANS", 0)
    storage = api_client.storage
    reads: list[Any] = []
    count = storage.span_usage

    async def counting(*arguments: Any) -> Any:
        reads.append(arguments)
        return await count(*arguments)

    run = await api_client.run("active", run_id="run-1")
    for number in range(3):
        name = f"agent:{number % 2}"
        await api_client.span(run, schema_name=name, status="complete", payload=USAGE)
    before = (await api_client.get("/agent_instance/run-1")).details
    await catch_up(follower_of_all(storage, prices=prices))
    monkeypatch.setattr(storage, "span_usage", counting)
    after = (await api_client.get("/agent_instance/run-1")).details
    unread = not reads
    await api_client.span(run, schema_name="agent:1", status="complete", payload=USAGE)
    later = (await api_client.get("/agent_instance/run-1")).details

    assert unread
    assert before == after
    assert before["cost_breakdown"]["total_cost"] == pytest.approx(3 * 0.1358258, abs=1e-9)
    assert later["cost_breakdown"]["total_cost"] == pytest.approx(4 * 0.1358258, abs=1e-9)
    assert (before["span_schema_counts"]["agent:1"], later["span_schema_counts"]["agent:1"]) == (
        1,
        2,
    )
