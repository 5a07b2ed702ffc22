"""Finding runs among many: by their agents, their duration and their failures."""

from typing import Any

import pytest


@pytest.fixture
async def runs(api_client: Any) -> dict[str, str]:
    """Runs of three agents that differ in every filter; their ids by name."""
    found = dict[str, str]()
    for name, seconds in (("short", 1), ("long", 3600)):
        run = await api_client.register(f"{name}-run", agent_id=f"agent-{name}")
        await api_client.post(
            f"/agent_instance/{run['id']}/start", {"timestamp": "2026-01-01T00:00:00Z"}
        )
        minute, second = divmod(seconds, 60)
        hour, minute = divmod(minute, 60)
        if name == "long":
            await api_client.span(run, status="failed")
        await api_client.post(
            f"/agent_instance/{run['id']}/finish",
            {"timestamp": f"2026-01-01T{hour:02}:{minute:02}:{second:02}.250Z"},
        )
        found[name] = run["agent_id"]
    open_run = await api_client.register("open-run", agent_id="agent-open")
    found["open"] = open_run["agent_id"]
    return found


async def listed(api_client: Any, **query: str) -> list[str]:
    """The ids of the runs that a query finds, in the order of ids."""
    return sorted(run["id"] for run in (await api_client.get("/agent_instance", query)).summaries)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"min_duration": "1.25"}, ["long-run", "short-run"]),
        ({"min_duration": "1.250001"}, ["long-run"]),
        ({"max_duration": "1.25"}, ["short-run"]),
        ({"max_duration": "1.249999"}, []),
        ({"min_duration": "2", "max_duration": "4000"}, ["long-run"]),
        ({"min_duration": "0"}, ["long-run", "short-run"]),
        ({"finished_after": "2026-01-01T00:00:01.250Z"}, ["long-run", "short-run"]),
        ({"finished_after": "2026-01-01T00:00:01.251Z"}, ["long-run"]),
        ({"finished_before": "2026-01-01T00:00:01.250Z"}, []),
        ({"finished_before": "2026-01-01T00:00:01.251Z"}, ["short-run"]),
        ({"has_failed_spans": "true"}, ["long-run"]),
        ({"has_failed_spans": "false"}, ["open-run", "short-run"]),
        ({"has_failed_spans": "true", "max_duration": "60"}, []),
    ],
)
async def test_runs_are_found_by_end_duration_and_failures(
    api_client: Any, runs: dict[str, str], query: dict[str, str], expected: list[str]
) -> None:
    """Both bounds of a duration are inclusive, and an open run has no end or duration."""
    assert runs
    assert await listed(api_client, **query) == expected


@pytest.mark.parametrize("sorting", ["id", "-id", "started_at", "-started_at"])
async def test_runs_of_several_agents_are_one_list(
    api_client: Any, runs: dict[str, str], sorting: str
) -> None:
    """Runs of several agents are listed in one order, by pages, with one total."""
    chosen = ",".join((runs["long"], runs["open"], "no-such-agent"))
    whole = await api_client.get("/agent_instance", {"agent_ids": chosen, "sorting": sorting})
    first = await api_client.get(
        "/agent_instance",
        {"agent_ids": chosen, "sorting": sorting, "pagination[page_size]": "1"},
    )
    second = await api_client.get(
        "/agent_instance",
        {
            "agent_ids": chosen,
            "sorting": sorting,
            "pagination[page_size]": "1",
            "pagination[after]": first.body["pagination"]["next_after"],
        },
    )

    assert {run["id"] for run in whole.summaries} == {"long-run", "open-run"}
    assert [*first.summaries, *second.summaries] == whole.summaries
    assert whole.body["pagination"]["item_count"] == 2
    assert second.body["pagination"]["next_after"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("agent_ids", ""),
        ("agent_ids", "a,,b"),
        ("agent_ids", "a b"),
        ("agent_ids", ",".join(f"a{n}" for n in range(51))),
        ("min_duration", "-1"),
        ("max_duration", "1e3"),
        ("min_duration", "1.1234567"),
        ("min_duration", "\u0663"),
        ("has_failed_spans", "maybe"),
    ],
)
async def test_a_filter_that_cannot_be_read_is_refused(
    api_client: Any, name: str, value: str
) -> None:
    """An invalid filter is refused by its name, in the list and in its facets."""
    for path in ("/agent_instance", "/agent_instance/facets"):
        refused = await api_client.get(path, {name: value})
        assert name in refused.refused(422, "validation_errors")["errors"]


def counts(facets: Any, name: str) -> dict[str, int]:
    """The counts of a facet by value."""
    return {one["value"]: one["count"] for one in facets["facets"][name]["values"]}


async def test_a_facet_ignores_its_own_filter(api_client: Any, runs: dict[str, str]) -> None:
    """A facet ignores its own filter only, so that its other values can be chosen."""
    everything = (await api_client.get("/agent_instance/facets")).details
    completed = (await api_client.get("/agent_instance/facets", {"status": "complete"})).details

    assert (everything["item_count"], everything["complete"]) == (3, True)
    assert counts(everything, "status") == {"complete": 2, "pending": 1}
    assert counts(everything, "risk_level") == {}
    assert counts(everything, "has_failed_spans") == {"false": 2, "true": 1}
    assert counts(everything, "agent_id") == dict.fromkeys(runs.values(), 1)
    assert completed["item_count"] == 2
    assert counts(completed, "status") == {"complete": 2, "pending": 1}
    assert counts(completed, "agent_id") == {runs["short"]: 1, runs["long"]: 1}


async def test_facets_of_an_agent_still_count_the_others(
    api_client: Any, runs: dict[str, str]
) -> None:
    """With an agent chosen, its facet counts all agents; other facets count only its runs."""
    query = {"agent_id": "agent-long", "min_duration": "1"}
    one = (await api_client.get("/agent_instance/facets", query)).details
    several = (
        await api_client.get(
            "/agent_instance/facets", {"agent_ids": f"{runs['long']},{runs['open']}"}
        )
    ).details

    assert counts(one, "agent_id") == {runs["short"]: 1, runs["long"]: 1}
    assert counts(one, "status") == {"complete": 1}
    assert counts(several, "agent_id") == dict.fromkeys(runs.values(), 1)
    assert counts(several, "status") == {"complete": 1, "pending": 1}


async def test_a_deployment_counts_its_own_runs(api_client: Any, runs: dict[str, str]) -> None:
    """The facets that a deployment token reads count only its own agent's runs."""
    run = (await api_client.get("/agent_instance/short-run")).details
    token, _ = await api_client.add_token(
        token_scope="agent_deployment",
        agent_id=run["agent_id"],
        environment_id=run["environment_id"],
        agent_deployment_id=run["agent_deployment_id"],
    )

    for query in ({}, {"agent_ids": ",".join(runs.values())}, {"started_after": "2020-01-01"}):
        seen = (await api_client.get("/agent_instance/facets", query, token=token)).details
        assert counts(seen, "agent_id") == {runs["short"]: 1}
        assert seen["item_count"] == 1
