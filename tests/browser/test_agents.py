"""Agents: their activity over time, versions, and span types."""

import asyncio
import re
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from browser import Offences, on_both_backends
from charted_agent import RANGE, charted, counted
from live_server import LiveServer
from pages_data import TYPES, record
from prefactor_http import HttpClientConfig, PrefactorHttpClient

pytestmark = pytest.mark.asyncio(loop_scope="session")


@on_both_backends
async def test_from_tile_to_runs(page: Page, server: LiveServer) -> None:
    """A tile leads to its agent, and a number in the agent's chart leads to the runs."""
    agent, good, bad = await charted(server)
    await counted(page, f"/#/agent/{agent}?{RANGE}", "50%")
    await page.get_by_role("navigation", name="Where this is").get_by_text("Agents").click()
    each = page.get_by_role("region", name="Each agent")
    tile = each.get_by_role("link").filter(has_text=agent)
    await expect(tile).to_contain_text("50%")
    # Quantiles are within 2 % of the ten seconds that the runs took.
    await expect(tile).to_contain_text("9.84 s")
    await tile.click()
    await expect(page.get_by_role("heading", name=agent)).to_be_visible()
    await expect(page).to_have_url(re.compile("from=2026-11-01"))
    ended = page.get_by_role("region", name="Runs by how they ended").first
    await ended.get_by_text("Table").click()
    table = ended.get_by_role("table")
    await expect(table.get_by_role("row")).to_have_count(2)
    await expect(table).to_contain_text("Nov 29, 2026")
    await table.get_by_role("cell").nth(1).get_by_role("link").click()
    await expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    await expect(page.get_by_text(bad)).to_be_visible()
    await expect(page.get_by_text(good)).to_have_count(0)
    await page.get_by_role("button", name="ended from Nov 29").click()
    await expect(page.get_by_role("button", name="ended from Nov 29")).to_have_count(0)
    await expect(page.get_by_text(bad)).to_be_visible()


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(page: Page, server: LiveServer) -> AsyncIterator[str]:
    """Create 110 agents and a Night clerk; yield a word that finds them. They are deleted again."""
    word = f"fleet-{uuid4().hex[:8]}"
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        clerk = client.agents.create({"name": "Night clerk", "external_identifier": f"{word}-x"})
        others = [client.agents.create({"name": f"{word} {n:03}"}) for n in range(110)]
        created = await asyncio.gather(*others, clerk)
        yield word
        # It may still be reading about the agents that it shows.
        await page.goto("about:blank")
        # Other tests expect theirs among the first hundred.
        await asyncio.gather(*[client.agents.delete(agent.id) for agent in created])


async def test_search(page: Page, fleet: str) -> None:
    """An agent that is not among the first hundred is found by its words, and the link is kept."""
    await page.goto("/#/agents")
    tiles = page.get_by_role("region", name="Each agent").get_by_role("link")
    await expect(tiles).to_have_count(100)
    await page.keyboard.press("/")
    await page.keyboard.type(f"109 {fleet.upper()} ")
    found = page.get_by_role("region", name="Found").get_by_role("link")
    await expect(found).to_have_count(1)
    await expect(found).to_contain_text(f"{fleet} 109")
    await expect(page.get_by_text("showing 1 of 1 agent")).to_be_visible()
    # The space that was typed last is still there.
    search = page.get_by_role("searchbox", name="Search agents")
    await search.press_sequentially("x")
    none = page.get_by_role("heading", name="No agent has")
    await expect(none).to_contain_text(f"109 {fleet.upper()} x")
    await page.get_by_role("button", name="Show all agents").click()
    await expect(tiles).to_have_count(100)
    await search.fill(f"{fleet}-X")
    await expect(found).to_have_count(1)
    await expect(found).to_contain_text("Night clerk")

    await page.reload()
    await expect(search).to_have_value(f"{fleet}-X")
    await found.click()
    await expect(page.get_by_role("heading", name="Night clerk")).to_be_visible()
    await page.go_back()
    await expect(found).to_have_count(1)
    await expect(found).to_contain_text("Night clerk")
    await search.press("Escape")
    await expect(tiles).to_have_count(100)

    await page.keyboard.press("Control+k")
    await page.keyboard.type(f"{fleet}-x")
    await page.get_by_role("option", name="Night clerk").click()
    await expect(page.get_by_role("heading", name="Night clerk")).to_be_visible()


async def test_latest_run_first(page: Page, fleet: str, server: LiveServer) -> None:
    """The agent that ran last comes first, before a hundred others, with the time of its run."""
    name = f"zz-{fleet}"
    await record(server, agent=name)
    await page.goto("/#/agents")
    tiles = page.get_by_role("region", name="Each agent").get_by_role("link")
    await expect(tiles.first).to_contain_text(name)
    await expect(tiles.first).to_contain_text(re.compile(r"ran (just now|\d+ (s|min) ago)"))
    await expect(tiles.last).to_contain_text("no runs yet")

    await page.get_by_label("Order").select_option("By name")
    await expect(page).to_have_url(re.compile("sort=name"))
    await expect(tiles.first).not_to_contain_text(name)
    await page.reload()
    await expect(page.get_by_label("Order")).to_have_value("name")


async def test_versions(page: Page, server: LiveServer) -> None:
    """The page of an agent has its versions, their deployments, and the latest runs."""
    agent, good, bad = await charted(server)
    await page.goto(f"/#/agent/{agent}")
    versions = page.get_by_role("region", name="Versions and deployments").first
    await expect(versions).to_contain_text("2.4.1")
    await expect(versions).to_contain_text("Default")
    latest = page.get_by_role("region", name="Latest runs")
    await expect(latest).to_contain_text("showing 2 of 2 runs")
    for name in (good, bad):
        await expect(latest).to_contain_text(name)


async def test_one_colour_for_terminated(page: Page, server: LiveServer) -> None:
    """A terminated run has the same colour in the list of runs and in the chart."""
    agent, _, _ = await charted(server)
    run = await record(server, agent=agent, status=None)
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        await client.agent_instances.terminate(run, "stuck")
    await counted(page, f"/#/agent/{agent}?{RANGE}", "33%")
    chart = page.get_by_role("region", name="Runs by how they ended")
    swatch = chart.get_by_role("listitem").filter(has_text="terminated").locator(".swatch")
    badge = page.get_by_role("region", name="Latest runs").locator(".badge.terminated")
    shown = await badge.evaluate("badge => getComputedStyle(badge).color")
    assert shown == await swatch.evaluate("swatch => getComputedStyle(swatch).backgroundColor")


async def test_span_types(page: Page, server: LiveServer) -> None:
    """Two schema versions are compared type by type, and a type line by line."""
    agent = f"typed-{uuid4().hex[:8]}"
    await record(server, agent=agent, types=TYPES[:3])
    changed = {**TYPES[1], "template": "{{ model }}"}
    new = {"name": "agent:new", "title": "New", "params_schema": {}}
    await record(server, agent=agent, types=[TYPES[0], changed, new])
    await page.goto(f"/#/agent/{agent}")
    types = page.get_by_role("region", name="Span types").first
    await expect(types.get_by_role("status")).to_contain_text("3 types")
    await types.get_by_label("compared with").select_option(index=1)
    await expect(types.get_by_role("status")).to_contain_text("3 types of 4 differ")
    for name, change in (("llm", "changed"), ("new", "added"), ("tool", "removed")):
        await expect(types.get_by_role("button", name=f"agent:{name}")).to_contain_text(change)
    await types.get_by_role("button", name="agent:llm").click()
    template = types.get_by_role("region", name="Summary template, compared")
    await expect(template).to_contain_text("{{ prompt }}")
    await expect(template).to_contain_text("{{ model }}")
    await expect(types.get_by_text("no difference").first).to_be_visible()


async def test_missing(page: Page, offences: Offences) -> None:
    """An agent that does not exist is reported as missing, without empty charts."""
    offences.expected_statuses.add(404)
    await page.goto("/#/agent/no-such-agent")
    await expect(page.get_by_role("alert")).to_contain_text("This agent was not found")
    await expect(page.get_by_role("group", name="Time")).to_have_count(0)
    await page.get_by_role("link", name="Show all agents").click()
    await expect(page.get_by_role("heading", name="Agents", exact=True)).to_be_visible()
