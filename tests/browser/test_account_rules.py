"""Risk profiles, prices, the audit log and the health of the server, in the browser."""

import csv
import io
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from browser import Offences, on_both_backends
from live_server import LiveServer
from pages_data import Span, derived, record
from pages_people import sign_in_as
from prefactor_http import HttpClientConfig, PrefactorHttpClient

pytestmark = pytest.mark.asyncio(loop_scope="session")

TYPES = [
    {
        "name": "school:record",
        "params_schema": {},
        "template": "{{ pupil }}",
        "data_risk": {"params_data_categories": {"minors_data": "included"}},
    }
]


async def recorded(server: LiveServer, agent: str) -> str:
    """Record a run with two spans that declare data of minors; return the first span."""
    spans = [
        Span("root", "school:record", {"pupil": f"{agent} pupil"}),
        Span("more", "school:record", {"pupil": "another"}, "root"),
    ]
    run_id = await record(server, spans, agent=agent, types=TYPES)
    await derived(server, run_id, agent)
    return f"{agent} pupil"


@on_both_backends
async def test_risk_profile(page: Page, server: LiveServer) -> None:
    """A profile is edited with a preview of scores, saved, assigned to an agent and deleted."""
    agent = f"school-{uuid4().hex[:8]}"
    says = await recorded(server, agent)
    name = f"<i>Schools</i> {agent}"
    await page.goto("/#/account/risk")
    await page.get_by_role("link", name="New profile…").click()
    row = page.get_by_role("region", name="What runs would score").get_by_role("row")
    row = row.filter(has_text=says)
    await expect(row).to_contain_text("18")
    await expect(row).to_contain_text("medium")
    await page.get_by_label("Weight of Minors data").fill("0")
    await expect(row).to_contain_text("low")
    await page.get_by_label("Weight of Minors data").fill("11")
    await expect(page.get_by_text("Minors data: write a weight from 0 to 10.")).to_be_visible()
    await expect(page.get_by_role("button", name="Create profile")).to_be_disabled()
    await page.get_by_label("Weight of Minors data").fill("4")
    await page.get_by_label("Critical above").fill("60")
    await page.get_by_role("textbox", name="Name").fill(name)
    await page.get_by_role("button", name="Create profile").click()
    await expect(page.get_by_text("All changes are saved.")).to_be_visible()

    await page.get_by_role("combobox", name="Agent").fill(agent)
    await page.get_by_role("button", name="Give it this profile").click()
    await expect(page.get_by_role("link", name=agent, exact=True)).to_be_visible()
    await page.get_by_label("High above").fill("7")
    await expect(row).to_contain_text("high")
    await page.get_by_role("button", name="Save changes").click()
    await expect(page.get_by_text("All changes are saved.")).to_be_visible()
    await page.get_by_role("link", name="All profiles").click()
    item = page.get_by_role("listitem").filter(has_text=name)
    await expect(item).to_contain_text("1 agent")
    await expect(item).to_contain_text("high above 7")
    await item.get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("dialog")).to_contain_text("lose their scores")
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(item).to_have_count(0)


async def test_changes_of_others_to_a_profile(
    page: Page, offences: Offences, server: LiveServer
) -> None:
    """A profile that another admin saves meanwhile is kept, and so is what was typed here."""
    offences.expected_statuses.add(409)
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        profile = await client.risk_profiles.create(name="Shared")
        await page.goto(f"/#/account/risk?profile={profile.id}")
        name = page.get_by_role("textbox", name="Name")
        await name.fill("Mine")
        await client.risk_profiles.update(profile.id, {"description": "Of somebody else"})
        await page.get_by_role("button", name="Save changes").click()
        await expect(page.get_by_role("alert")).to_contain_text("Somebody else has changed")
        await expect(name).to_have_value("Mine")
        shown = await client.risk_profiles.get(profile.id)
        assert (shown.name, shown.description) == ("Shared", "Of somebody else")

        await page.get_by_role("button", name="Discard").click()
        await expect(page.get_by_role("alert")).to_have_count(0)
        await expect(page.get_by_label("Description")).to_have_value("Of somebody else")
        for changed in ("Mine", "Mine again"):
            await name.fill(changed)
            await page.get_by_role("button", name="Save changes").click()
            await expect(page.get_by_text("All changes are saved.")).to_be_visible()
        shown = await client.risk_profiles.get(profile.id)
        assert (shown.name, shown.description) == ("Mine again", "Of somebody else")
        # The page may still be reading about the profile.
        await page.goto("about:blank")
        await client.risk_profiles.delete(profile.id)


@on_both_backends
async def test_audit_log(page: Page, server: LiveServer) -> None:
    """The log says who did what, can be filtered by each part, and the address keeps the filter."""
    name = f"Audited {uuid4().hex[:8]}"
    answer = await page.context.request.post(
        "/api/v1/environment",
        data={"details": {"name": name}},
        headers={"X-Prefactor-Request": "1", "Origin": server.url},
    )
    assert answer.ok, await answer.text()
    made = (await answer.json())["details"]["id"]
    await page.goto("/#/account/audit")
    rows = page.get_by_role("listitem")
    await expect(rows.first).to_contain_text(name)
    await expect(rows.first).to_contain_text("created environment")
    await page.get_by_label("To what").fill(made)
    await page.get_by_label("To what").press("Enter")
    await expect(rows).to_have_count(1)
    await expect(page.get_by_text("showing 1 of 1 entry")).to_be_visible()
    await page.reload()
    await expect(rows).to_have_count(1)
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="Download CSV").click()
    saved = (await (await waiting.value).path()).read_text("utf-8-sig")
    (entry,) = csv.DictReader(io.StringIO(saved))
    assert (entry["action"], entry["resource_id"]) == ("environments.create", made)
    await page.get_by_label("What", exact=True).fill("agents.delete")
    await page.get_by_label("What", exact=True).press("Enter")
    await expect(page.get_by_text("No entry fits these filters.")).to_be_visible()
    await page.get_by_role("button", name="Clear filters").click()
    await expect(rows.first).to_contain_text(name)


@on_both_backends
async def test_server_health(page: Page) -> None:
    """The page shows that the server is ready and each consumer's lag, and refreshes."""
    await page.goto("/#/account/server")
    await expect(page.get_by_text("Ready: it takes requests and writes")).to_be_visible()
    await expect(page.get_by_role("region", name="Database")).to_contain_text("migration")
    derived = page.get_by_role("region", name="Derived from runs").get_by_role("listitem")
    await expect(derived).to_have_count(5)
    await expect(derived.first).to_contain_text("alerts")
    async with page.expect_response("**/api/v1/server"):
        pass


async def test_viewer(stranger: Page, server: LiveServer) -> None:
    """A viewer reads profiles and prices, and cannot change them."""
    agent = f"school-{uuid4().hex[:8]}"
    await recorded(server, agent)
    answer = await stranger.context.request.post(
        f"{server.url}/api/v1/risk_profile",
        data={"details": {"name": agent}},
        headers={"Authorization": f"Bearer {server.token}"},
    )
    assert answer.ok, await answer.text()
    await sign_in_as(stranger.context, server, "viewer")
    await stranger.goto("/#/account/risk")
    await stranger.get_by_role("link", name=agent).click()
    await expect(stranger.get_by_label("Weight of Minors data")).to_be_disabled()
    await expect(stranger.get_by_role("button", name="Save")).to_have_count(0)
    await stranger.goto("/#/account/prices")
    await expect(stranger.get_by_text("This server has no prices")).to_be_visible()


async def test_profile_on_a_phone(page: Page, server: LiveServer) -> None:
    """A profile of an agent whose name is longer than a phone can be taken away from it there."""
    agent = uuid4().hex * 6
    await recorded(server, agent)
    answer = await page.context.request.post(
        "/api/v1/risk_profile",
        data={"details": {"name": "phone"}},
        headers={"X-Prefactor-Request": "1", "Origin": server.url},
    )
    profile = (await answer.json())["details"]["id"]
    await page.set_viewport_size({"width": 360, "height": 800})
    await page.goto(f"/#/account/risk?profile={profile}")
    await page.get_by_role("combobox", name="Agent").fill(agent)
    await page.get_by_role("button", name="Give it this profile").click()
    button = page.get_by_role("button", name=f"Take away from {agent}")
    await expect(button).to_be_visible()
    # Nothing has been scrolled sideways yet.
    await page.reload()
    await expect(button).to_be_visible()
    box = await button.bounding_box()
    assert box is not None
    assert 0 <= box["x"] <= box["x"] + box["width"] <= 360
    await button.click()
    await expect(button).to_have_count(0)
