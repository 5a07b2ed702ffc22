"""Agents in the order of their latest runs."""

from typing import Any

import pytest

RUNS = (("quiet", 0), ("busy", 60), ("quiet", 60), ("busy", 60), ("twin", 0))


async def _listed(api_client: Any, **query: str) -> list[dict[str, Any]]:
    """Read the whole list, one agent a page."""
    agents = list[dict[str, Any]]()
    after = {}
    while True:
        page = await api_client.get("/agent", {**query, "pagination[page_size]": "1", **after})
        agents += page.summaries
        following = page.body["pagination"]["next_after"]
        if following is None:
            return agents
        after = {"pagination[after]": following}


@pytest.mark.parametrize(
    ("sorting", "names"),
    [
        ("last_run_at", ["new", "unused", "quiet", "busy", "twin"]),
        ("-last_run_at", ["twin", "busy", "quiet", "unused", "new"]),
    ],
)
async def test_agents_are_listed_by_their_latest_runs(
    api_client: Any, sorting: str, names: list[str]
) -> None:
    """Cursors visit each agent once: ties by id, agents without a run where missing values go."""
    for name in ("new", "unused", "quiet", "busy", "twin"):
        await api_client.post("/agent", {"details": {"name": name, "id": name}})
    for name, seconds in RUNS:
        api_client.clock.leap(seconds=seconds)
        await api_client.register(agent_id=name)

    listed = await _listed(api_client, sorting=sorting)

    assert [one["id"] for one in listed] == names
    times = {one["id"]: one["last_run_at"] for one in listed}
    assert times["new"] is times["unused"] is None
    assert times["quiet"] < times["busy"]
    shown = (await api_client.get("/agent/quiet")).details
    assert shown["last_run_at"] == times["quiet"]


async def test_the_order_by_latest_runs_keeps_the_filters(api_client: Any) -> None:
    """Words that were searched for and the order apply together, on every page."""
    for name in ("clerk a", "clerk b", "other"):
        agent = (await api_client.post("/agent", {"details": {"name": name}})).details
        api_client.clock.leap(seconds=1)
        await api_client.register(agent_id=agent["id"])

    listed = await _listed(api_client, sorting="-last_run_at", text="clerk")

    assert [one["name"] for one in listed] == ["clerk b", "clerk a"]
