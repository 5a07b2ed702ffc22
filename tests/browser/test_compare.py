"""Two runs side by side: their differences, and the totals."""

from dataclasses import replace
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from browser import Offences, on_both_backends
from live_server import LiveServer
from pages_data import Span, record, support_run

pytestmark = pytest.mark.asyncio(loop_scope="session")


def changed_run() -> list[Span]:
    """The small run with another step in place of its tool, and a reply that took longer."""
    root, plan, _, reply = support_run()
    check = Span("check", "agent:tool", {"tool": "check_policy", "query": "allowed"}, "plan", 200)
    other = {"response": "Goodbye", "usage": {"prompt_tokens": 120, "completion_tokens": 9}}
    return [root, plan, check, replace(reply, took=5_000, result=other)]


@on_both_backends
async def test_compare(page: Page, server: LiveServer) -> None:
    """A run is compared with the one before, and every difference can be visited."""
    agent = f"compared-{uuid4().hex[:8]}"
    before = await record(server, support_run(), agent=agent, external_identifier=f"old-{agent}")
    after = await record(server, changed_run(), agent=agent, external_identifier=f"new-{agent}")
    await page.goto(f"/#/run/{after}")
    await page.get_by_role("button", name="Compare with").click()
    await page.get_by_label("the id of any run").fill(before)
    await page.get_by_role("button", name="Compare", exact=True).click()
    await expect(page.get_by_role("heading", name="Compare two runs")).to_be_visible()
    await expect(page).to_have_url(f"{server.url}/#/compare/{before}/{after}")
    told = page.get_by_role("status").filter(has_text="changed,")
    await expect(told).to_have_text("1 changed, 1 added, 1 removed, 2 same")
    rows = page.get_by_role("treeitem")
    await expect(rows).to_have_count(5)
    await expect(rows.nth(2)).to_contain_text("search_documents")
    await expect(rows.nth(2)).to_contain_text("removed")
    await expect(rows.nth(3)).to_contain_text("check_policy")
    await expect(rows.nth(4)).to_contain_text("4.00 s → 5.00 s")
    await expect(rows.nth(4)).to_contain_text("+1.00 s")
    selected = page.get_by_role("treeitem", selected=True)
    for text in ("search_documents", "check_policy", "Write the reply"):
        await page.keyboard.press("n")
        await expect(selected).to_contain_text(text)
    panel = page.get_by_role("complementary")
    result = panel.get_by_role("region", name="Result, compared")
    for text in ('"response": "Good day"', '"response": "Goodbye"', '"completion_tokens": 9'):
        await expect(result).to_contain_text(text)
    await expect(panel).to_contain_text("no difference")
    await page.get_by_label("Only differences").check()
    await page.reload()
    await expect(page.get_by_label("Only differences")).to_be_checked()
    await expect(selected).to_contain_text("Write the reply")
    await page.get_by_role("button", name="Swap sides").click()
    await expect(rows.filter(has_text="check_policy")).to_contain_text("removed")


async def test_marked(page: Page, server: LiveServer) -> None:
    """Two runs that are marked in the list, by a key and by a click, are compared."""
    agent = f"marked-{uuid4().hex[:8]}"
    before = await record(server, support_run(), agent=agent)
    after = await record(server, changed_run(), agent=agent)
    await page.goto("/#/runs")
    rows = page.get_by_role("listitem").filter(has_text=agent)
    await expect(rows).to_have_count(2)
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    compare = page.get_by_role("button", name="Compare")
    await expect(compare).to_be_disabled()
    await page.keyboard.press("Escape")
    await expect(compare).to_have_count(0)
    await rows.first.hover()
    await page.get_by_role("button", name=f"Mark {after}").click()
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await expect(page.get_by_role("button", name=f"Mark {before}")).to_have_attribute(
        "aria-pressed", "true"
    )
    await compare.click()
    await expect(page.get_by_role("heading", name="Compare two runs")).to_be_visible()
    await expect(page).to_have_url(f"{server.url}/#/compare/{before}/{after}")


async def test_same(page: Page, server: LiveServer) -> None:
    """Two equal runs have no differences, and both are named."""
    agent = f"same-{uuid4().hex[:8]}"
    names = [f"one-{agent}", f"two-{agent}"]
    ids = [
        await record(server, support_run(), agent=agent, external_identifier=one) for one in names
    ]
    await page.goto(f"/#/compare/{ids[0]}/{ids[1]}?only=1")
    for name in names:
        await expect(page.get_by_role("link", name=name)).to_be_visible()
    await expect(page.get_by_text("no difference in 4 spans")).to_be_visible()
    await expect(page.get_by_role("tree")).to_contain_text("The two runs have the same spans")


async def test_one_side_alone(page: Page, server: LiveServer) -> None:
    """What only one run has is shown in the width of both."""
    before = await record(server, support_run())
    after = await record(server, changed_run())
    await page.goto(f"/#/compare/{before}/{after}?span={before}.search")
    payload = page.get_by_role("region", name="Payload, compared")
    removed = payload.get_by_text('"query": "refund policy"')
    await expect(removed).to_be_visible()
    whole = await payload.bounding_box()
    line = await removed.bounding_box()
    assert whole is not None
    assert line is not None
    assert line["width"] > 0.8 * whole["width"]


async def test_missing(page: Page, server: LiveServer, offences: Offences) -> None:
    """The run that does not exist is named."""
    offences.expected_statuses.add(404)
    before = await record(server, support_run())
    await page.goto(f"/#/compare/{before}/no-such-run")
    await expect(page.get_by_role("alert")).to_contain_text("The run no-such-run was not found")
