"""Series through the API."""

import time
from decimal import Decimal
from typing import Any

import pytest
from recorded_series import follow, recorded

from prefactor_server.domain.runs.cost import Price, PriceTable
from prefactor_server.domain.series.rollup import Rollup
from prefactor_server.queries import series as queries
from prefactor_server.storage.feed import Derived


@pytest.fixture
def prices() -> PriceTable:
    """A price for one family of models."""
    return PriceTable("USD", (Price("large-*", Decimal(1), Decimal(3)),))


async def test_a_series_adds_up_the_recorded_runs(api_client: Any) -> None:
    """The sums over the buckets are the runs, spans, failures, tokens and cost of the agent."""
    staging = await recorded(api_client)
    await follow(api_client)
    account = (await api_client.get("/account")).summaries[0]["id"]
    of_agent = (await api_client.get("/agent/agent-1/series")).details
    of_staging = (await api_client.get("/agent/agent-1/series", environment_id=staging)).details
    of_account = (await api_client.get(f"/account/{account}/series", bucket="day")).details

    assert len(of_agent["starts"]) == 168
    assert of_agent["behind_seconds"] == 0
    assert of_agent["complete_from"] == of_account["starts"][-1]
    runs = of_agent["runs"]
    assert (sum(runs["failed"]), sum(runs["complete"]), sum(runs["terminated"])) == (1, 1, 0)
    assert runs["failed"][-1] == 1
    assert runs["durations"]["measured"][-1] == 2
    assert runs["durations"]["p99"][-1] > 0
    assert runs["durations"]["p99"][0] is None
    assert runs["overall"]["measured"] == 2
    assert runs["overall"]["p99"] == runs["durations"]["p99"][-1]
    spans = {one["schema_name"]: one for one in of_agent["span_types"]}
    assert sum(spans["x:llm"]["spans"]) == sum(spans["x:tool"]["failed"]) == 2
    (model,) = of_agent["models"]
    assert (sum(model["prompt_tokens"]), sum(model["cost"])) == (2_000_000, 14.0)
    assert (model["model"], sum(model["unpriced_spans"])) == ("large-1", 0)
    assert (of_agent["currency"], of_agent["environment_id"]) == ("USD", None)
    assert sum(of_staging["runs"]["complete"]) == 1
    assert sum(of_staging["runs"]["failed"]) == 0
    assert sum(of_account["models"][0]["prompt_tokens"]) == 3_000_000
    assert of_account["agent_id"] is None


async def test_an_incomplete_series_says_so(api_client: Any) -> None:
    """A series is incomplete until the follower has run; then it says how far behind it is."""
    await api_client.run("complete", agent_id="agent-1")
    before = (await api_client.get("/agent/agent-1/series")).details
    await follow(api_client)
    await api_client.run("complete", agent_id="agent-1")
    # The feed uses the clock of the machine.
    api_client.clock.now = time.time_ns() // 1000 + 30_000_000
    query = {"bucket": "day", "start_time": "2026-01-01"}
    late = (await api_client.get("/agent/agent-1/series", query)).details

    assert before["complete_from"] is None
    assert sum(before["runs"]["complete"]) == 0
    assert late["complete_from"] is not None
    assert late["behind_seconds"] >= 30
    assert sum(late["runs"]["complete"]) == 1


async def test_a_deployment_token_sees_its_own(api_client: Any) -> None:
    """A deployment token gets the series of its own agent and environment only."""
    staging = await recorded(api_client)
    await follow(api_client)
    agent = (await api_client.get("/agent/agent-1")).details["id"]
    wanted = {"token_scope": "agent_deployment", "agent_id": agent, "environment_id": staging}
    token = (await api_client.post("/api_token", {"details": wanted})).body["token"]
    account = (await api_client.get("/account")).summaries[0]["id"]

    own = (await api_client.get(f"/agent/{agent}/series", token=token)).details
    assert own["environment_id"] == staging
    assert (sum(own["runs"]["complete"]), sum(own["runs"]["failed"])) == (1, 0)
    for asked in ("", "none"):
        answered = await api_client.get(f"/agent/{agent}/series", token=token, environment_id=asked)
        assert answered.details["runs"] == own["runs"]
    (await api_client.get("/agent/agent-2/series", token=token)).refused(404, "not_found")
    (await api_client.get(f"/account/{account}/series", token=token)).refused(403, "not_permitted")


async def test_an_unknown_environment_has_an_empty_series(api_client: Any) -> None:
    """An unknown or empty environment id does not show all environments."""
    await recorded(api_client)
    await follow(api_client)
    for asked in ("", "none"):
        details = (await api_client.get("/agent/agent-1/series", environment_id=asked)).details
        assert details["runs"]["overall"]["measured"] == 0


RANGES = [
    ({"bucket": "week"}, "bucket"),
    ({"start_time": "yesterday"}, "start_time"),
    ({"start_time": "2025-01-01"}, "start_time"),
    ({"start_time": "1969-12-31", "bucket": "day"}, "start_time"),
    ({"end_time": "9999-12-31T23:59:59Z", "bucket": "day"}, "end_time"),
    ({"start_time": "2026-01-01", "end_time": "2026-01-01"}, "start_time"),
]


async def test_an_impossible_range_is_refused(api_client: Any) -> None:
    """An impossible range is refused, and the error names the parameter."""
    await api_client.run(agent_id="agent-1")
    for query, field in RANGES:
        refused = await api_client.get("/agent/agent-1/series", query)
        assert [*refused.refused(422, "validation_errors")["errors"]] == [field]


async def test_too_many_environments_are_refused(
    api_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request for too many environments is refused; a single one still works."""
    monkeypatch.setattr(queries, "MAX_ROLLUPS", 2)
    staging = await recorded(api_client)
    await follow(api_client)
    account = (await api_client.get("/account")).summaries[0]["id"]
    day = 86_400_000_000
    rows = [Rollup(account, "", 86_400, start * day, "old", b"{}") for start in range(3)]
    begun = (await api_client.storage.feed.states())["series"]
    await api_client.storage.feed.advance(begun, begun, Derived(upserted=rows))

    path = f"/account/{account}/series"
    within = {"start_time": "1970-01-01", "end_time": "1970-01-04"}
    within["bucket"] = "day"
    refused = (await api_client.get(path, within)).refused(422, "validation_errors")
    assert "environment_id" in refused["errors"]
    assert (await api_client.get(path, within, environment_id=staging)).details["starts"]
