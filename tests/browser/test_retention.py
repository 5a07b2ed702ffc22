"""The retention page, which is for admins."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from browser import Offences
from live_server import LiveServer, start_server
from pages_data import Span, record
from pages_people import sign_in_as
from prefactor_http import HttpClientConfig, PrefactorHttpClient

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A separate server that does not apply the policy during the test."""
    started = start_server(
        tmp_path_factory.mktemp("retention"), "--retention-interval-seconds", "0"
    )
    yield started
    started.stop()


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def no_rules(server: LiveServer) -> None:
    """Begin each test without rules."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        await client.retention_policies.update({"rules": [], "audit_days": None})


async def save(dialog: Locator) -> None:
    """Save what a dialog holds, and wait until it is closed."""
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_have_count(0)


async def test_rules(page: Page, offences: Offences, server: LiveServer) -> None:
    """A rule is added, its errors are at their fields, and it is saved after a preview."""
    offences.expected_statuses.add(422)
    agent = f"<b>Old</b> {uuid4().hex[:8]}"
    await record(server, [Span("root", "support:agent", {"goal": "x"})], agent=agent)
    await page.goto("/#/account/retention")
    await expect(
        page.get_by_text("There are no rules, so every run is kept forever.")
    ).to_be_visible()
    await page.get_by_role("button", name="Add rule…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Agent").fill("nobody")
    await dialog.get_by_label("Days", exact=True).fill("1")
    await dialog.get_by_role("button", name="Add").click()
    await expect(dialog.get_by_role("alert")).to_have_text(
        "'nobody' is not an agent of this account"
    )
    await dialog.get_by_label("Agent").fill(agent)
    await dialog.get_by_label("Days", exact=True).fill("0")
    await dialog.get_by_role("button", name="Add").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("must be 1 to 36500 days")
    await dialog.get_by_label("Days", exact=True).fill("1")
    await dialog.get_by_role("button", name="Add").click()
    rules = page.get_by_role("list", name="Rules").get_by_role("listitem")
    await expect(rules).to_contain_text(agent)
    await expect(rules).to_contain_text("would delete 1 run and 1 span")
    await expect(page.get_by_text("These rules would delete 1 run and 1 span now.")).to_be_visible()

    await page.get_by_role("button", name="Add rule…").click()
    await dialog.get_by_label("Purpose").select_option("eval")
    await dialog.get_by_role("radio", name="Forever").check()
    await dialog.get_by_role("button", name="Add").click()
    await expect(rules).to_have_count(2)
    await expect(rules.first).to_contain_text(agent)
    await page.get_by_role("button", name="Save…").click()
    await expect(dialog).to_contain_text("This cannot be undone.")
    await dialog.get_by_role("button", name="Save and delete 1 run").click()
    await expect(page.get_by_text("Not saved yet.")).to_have_count(0)
    await page.reload()
    await expect(rules).to_have_count(2)
    await expect(rules.first).to_contain_text(agent)
    await expect(rules.first).to_contain_text("1 day")
    await expect(rules.last).to_contain_text("forever")
    await rules.first.get_by_role("button", name="Remove").click()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("Not saved yet.")).to_have_count(0)
    await expect(rules).to_have_count(1)

    await page.get_by_role("button", name="Change how long the log is kept").click()
    await dialog.get_by_role("radio", name="For").last.check()
    await dialog.get_by_label("Days", exact=True).fill("9")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("must be 30 to 36500 days")
    await dialog.get_by_label("Days", exact=True).fill("400")
    await save(dialog)
    await page.reload()
    await expect(page.get_by_text("400 days")).to_be_visible()


async def test_any_agent_is_suggested(page: Page, server: LiveServer) -> None:
    """An agent that is not among the first hundred is suggested as soon as its name is typed."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        names = [f"many {number:03}" for number in range(110)]
        await asyncio.gather(*[client.agents.create({"name": one}) for one in names])
    await page.goto("/#/account/retention")
    await page.get_by_role("button", name="Add rule…").click()
    dialog = page.get_by_role("dialog")
    suggested = dialog.locator("option[value='many 109']")
    await expect(dialog.locator("option[value='many 001']")).to_have_count(1)
    await expect(suggested).to_have_count(0)
    await dialog.get_by_label("Agent").fill("y 109")
    await expect(suggested).to_have_count(1)
    await dialog.get_by_label("Agent").fill("many 109")
    await dialog.get_by_role("button", name="Add").click()
    rules = page.get_by_role("list", name="Rules").get_by_role("listitem")
    await expect(rules.filter(has_text="many 109")).to_have_count(1)


async def test_changes_of_others_are_not_overwritten(
    page: Page, offences: Offences, server: LiveServer
) -> None:
    """Rules that another admin saves meanwhile are kept, and the page says so."""
    offences.expected_statuses.add(409)
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        await page.goto("/#/account/retention")
        await page.get_by_role("button", name="Add rule…").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Days", exact=True).fill("36000")
        await dialog.get_by_role("button", name="Add").click()
        await expect(page.get_by_text("Not saved yet.")).to_be_visible()
        await client.retention_policies.update({"rules": [{"days": 35000}]})
        await page.get_by_role("button", name="Save", exact=True).click()
        failure = page.get_by_role("alert")
        await expect(failure).to_contain_text("Somebody else has changed the policy")
        await page.get_by_role("button", name="Discard").click()
        await expect(page.get_by_role("list", name="Rules")).to_contain_text("35,000 days")

        await page.get_by_role("button", name="Change how long the log is kept").click()
        await dialog.get_by_role("radio", name="For").last.check()
        await client.retention_policies.update({"audit_days": 500})
        await dialog.get_by_label("Days", exact=True).fill("36000")
        await dialog.get_by_role("button", name="Save").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("Somebody else has changed")
        assert (await client.retention_policies.show()).audit_days == 500


async def test_only_admins_see_the_policy(stranger: Page, server: LiveServer) -> None:
    """A member is told to ask an admin."""
    await sign_in_as(stranger.context, server, "member")
    await stranger.goto("/#/account/retention")
    await expect(stranger.get_by_text("Only admins see and change this.")).to_be_visible()
    await expect(stranger.get_by_role("button", name="Add rule…")).to_have_count(0)
