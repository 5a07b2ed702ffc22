"""Finding runs: filters, facets and search results, field by field."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl

from prefactor_http import (
    PrefactorHttpClient,
)
from prefactor_http.testing import Reply, ScriptedServer

PATH = "/api/v1/agent_instance"
MOMENT = "2026-01-01T00:00:00Z"


async def test_runs_are_found_by_every_filter(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """Filters are sent in the API's spelling, whatever the caller's."""
    server.script(Reply(200, {"summaries": [], "pagination": None, "sorting": None}))
    await client.agent_instances.list(
        agent_ids=["a", "b"],
        finished_after="2026-01-01T00:00:00Z",
        finished_before=datetime(2026, 1, 2, tzinfo=UTC),
        min_duration=0.0000015,
        max_duration=90,
        has_failed_spans=False,
        min_cost=0.0005,
    )
    query = dict(parse_qsl(server.requests[0].target.partition("?")[2]))
    assert query == {
        "agent_ids": "a,b",
        "finished_after": "2026-01-01T00:00:00Z",
        "finished_before": "2026-01-02T00:00:00+00:00",
        "min_duration": "0.000002",
        "max_duration": "90",
        "has_failed_spans": "false",
        "min_cost": "0.000500000",
    }


async def test_a_search_result_says_where_it_matched(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A search for text returns each run with the matching span and the text around the match."""
    match = {"span_id": "s", "snippet": "…to <Paris>", "truncated": True}
    ids = ("id", "account_id", "agent_id", "agent_version_id", "environment_id")
    times = {"inserted_at": MOMENT, "updated_at": MOMENT}
    run = {
        "type": "agent_instance",
        "status": "active",
        **dict.fromkeys(ids, "x"),
        **times,
        "match": match,
    }
    search = {"behind_seconds": 0.5, "complete": True, "limited": False}
    reply = {"summaries": [run], "pagination": None, "sorting": None, "search": search}
    server.script(Reply(200, reply))
    page = await client.agent_instances.list(text="paris")
    assert server.requests[0].target.endswith("?text=paris")
    assert page[0].match is not None
    assert (page[0].match.snippet, page[0].match.truncated) == ("…to <Paris>", True)
    assert page.raw["search"] == search


async def test_the_facets_of_runs(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Facets are returned by filter name, including those unknown to this version."""
    facets = {
        "type": "agent_instance_facets",
        "item_count": 3,
        "complete": False,
        "facets": {
            "status": {"values": [{"value": "failed", "count": 3}], "more": 2},
            "new": {"values": []},
        },
    }
    server.script(Reply(200, {"status": "success", "details": facets}))
    found = await client.agent_instances.facets(agent_ids=("a",), started_after="2026-01-01")
    target = server.requests[0].target
    assert target.startswith(f"{PATH}/facets?")
    assert "agent_ids=a" in target
    assert (found.item_count, found.complete) == (3, False)
    assert (found.facets["status"].values[0].count, found.facets["status"].more) == (3, 2)
    assert found.facets["new"].values == []


async def test_filters(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Filters, order and page are sent in the form every server knows."""
    empty = {"status": "success", "summaries": [], "pagination": None, "sorting": None}
    server.script(Reply(200, empty), Reply(200, empty))
    moment = datetime(2026, 4, 13)  # noqa: DTZ001 - naive on purpose
    page = await client.agent_instances.list(
        agent_id="a", started_after=moment, sorting="-id", offset=5, page_size=7
    )
    assert (page, page.pagination, page.sorting) == ([], None, None)
    [_ async for _ in client.agent_instances.iterate(agent_id="a", started_after=moment)]
    listed, walked = (dict(request.query) for request in server.requests)
    assert listed == {
        "agent_id": "a",
        "started_after": "2026-04-13T00:00:00+00:00",
        "sorting[field]": "id",
        "sorting[direction]": "desc",
        "pagination[offset]": "5",
        "pagination[page_size]": "7",
    }
    assert walked == {
        "agent_id": "a",
        "started_after": "2026-04-13T00:00:00+00:00",
        "pagination[page_size]": "100",
    }
