"""On every page: the command palette, the list of keys, and the choice of environment."""

import asyncio
import re
from uuid import uuid4

import pytest
from playwright.async_api import Page, Route, expect

from browser import Offences
from live_server import LiveServer
from pages_data import record, support_run
from prefactor_http import HttpClientConfig, PrefactorHttpClient

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_palette(page: Page, server: LiveServer, offences: Offences) -> None:
    """The palette opens an agent and a run by name, and runs commands that need no page."""
    offences.expected_statuses.add(404)
    agent, name = f"agent-{uuid4().hex[:8]}", f"named-{uuid4().hex[:8]}"
    await record(server, support_run(), agent=agent, external_identifier=name)
    await page.goto("/#/runs")
    await expect(page.get_by_text(name)).to_be_visible()
    palette = page.get_by_role("dialog", name="Go to")
    await page.keyboard.press("Control+k")
    await page.keyboard.type(agent[:10])
    await page.keyboard.press("Enter")
    await expect(palette).to_have_count(0)
    await expect(page.get_by_role("heading", name=agent)).to_be_visible()
    await expect(page).to_have_url(re.compile("#/agent/"))

    await page.get_by_role("button", name="Go to…").click()
    await page.keyboard.type("no such run")
    await page.keyboard.press("Enter")
    await expect(palette.get_by_role("alert")).to_contain_text("No run has this id")
    await palette.get_by_role("combobox").fill(name)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=name)).to_be_visible()
    await expect(page).to_have_url(re.compile("#/run/"))

    await page.keyboard.press("Control+k")
    await page.keyboard.type("theme dark")
    await page.keyboard.press("Enter")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.keyboard.press("Control+k")
    await page.keyboard.press("Escape")
    await expect(palette).to_have_count(0)


async def test_any_agent_is_found(page: Page, server: LiveServer) -> None:
    """The palette and a risk profile's page find an agent that is not among the first hundred."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        names = [f"many of them {number:03}" for number in range(110)]
        await asyncio.gather(*[client.agents.create({"name": one}) for one in names])
        profile = await client.risk_profiles.create(name="For many")
    await page.goto(f"/#/account/risk?profile={profile.id}")
    await page.get_by_role("combobox", name="Agent").fill("many of them 108")
    await page.get_by_role("button", name="Give it this profile").click()
    await expect(page.get_by_role("link", name="many of them 108")).to_be_visible()
    await page.reload()
    # Keys are heard once the page is there.
    await expect(page.get_by_role("button", name="Go to…")).to_be_visible()
    await page.keyboard.press("Control+k")
    await page.keyboard.type("them 109")
    await page.get_by_role("option", name="many of them 109").click()
    await expect(page.get_by_role("heading", name="many of them 109")).to_be_visible()


async def test_keys(page: Page, server: LiveServer) -> None:
    """A question mark lists the keys of the page and of all pages."""
    run_id = await record(server, support_run())
    for address, row, key in (
        ("runs", "listitem", "look at the run beside"),
        (f"run/{run_id}", "treeitem", "critical path"),
    ):
        await page.goto(f"/#/{address}")
        await expect(page.get_by_role(row).first).to_be_visible()
        await page.keyboard.press("?")
        dialog = page.get_by_role("dialog", name="Keys")
        await expect(dialog).to_contain_text(key)
        await expect(dialog).to_contain_text("Ctrl K")
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)


async def test_environment(page: Page, server: LiveServer) -> None:
    """With several environments, one can be chosen in the header."""
    name = f"staging-{uuid4().hex[:8]}"
    answer = await page.context.request.post(
        "/api/v1/environment",
        data={"details": {"name": name}},
        headers={"X-Prefactor-Request": "1", "Origin": server.url},
    )
    assert answer.ok, await answer.text()
    await page.goto("/#/runs")
    await page.get_by_label("Environment", exact=True).select_option(label=name)
    await expect(page.get_by_text("No run matches these filters.")).to_be_visible()
    await expect(page.get_by_role("button", name=f"Remove the filter {name}")).to_be_visible()


async def test_leaving(page: Page, server: LiveServer) -> None:
    """A late update of a page does not bring it back after the person has left it."""
    run_id = await record(server, support_run())
    await page.goto(f"/#/run/{run_id}")
    await expect(page.get_by_role("treeitem").first).to_be_visible()
    # Both in one task, so that the page learns of the new address only afterwards.
    await page.evaluate(
        """() => {
            location.hash = "#/runs";
            const down = new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true });
            document.body.dispatchEvent(down);
        }"""
    )
    await expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    await expect(page).to_have_url(re.compile("#/runs$"))


async def test_a_slow_server_is_named(page: Page) -> None:
    """While the first answer is late, the page says what it waits for instead of being empty."""
    late = asyncio.Event()

    async def answer(route: Route) -> None:
        await late.wait()
        await route.continue_()

    await page.route("**/api/v1/session", answer)
    await page.goto("/#/runs")
    await expect(page.get_by_text("Waiting for the server…")).to_be_visible()
    late.set()
    await expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    await expect(page.get_by_text("Waiting for the server…")).to_have_count(0)
