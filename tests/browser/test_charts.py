"""Charts, and the choice of their range."""

import re

import pytest
from playwright.async_api import Page, Position, expect

from charted_agent import DAYS, RANGE, charted, counted
from live_server import LiveServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_click_in_chart(page: Page, server: LiveServer) -> None:
    """Hovering over a bar describes it, and a click lists its runs."""
    agent, good, bad = await charted(server)
    await counted(page, f"/#/agent/{agent}?{RANGE}", "50%")
    plot = page.get_by_role("img", name="Runs by how they ended: complete 1, failed 1")
    area = plot.locator(".u-over")
    box = await area.bounding_box()
    assert box is not None
    # The lower half of the bar is what completed.
    bar: Position = {"x": box["width"] * 28.5 / DAYS, "y": box["height"] * 0.75}
    await area.hover(position=bar)
    for text in ("Nov 29, 2026", "complete", "failed"):
        await expect(page.locator(".tip")).to_contain_text(text)
    await area.click(position=bar)
    await expect(page.get_by_text(good)).to_be_visible()
    await expect(page.get_by_text(bad)).to_have_count(0)


async def test_range(page: Page, server: LiveServer) -> None:
    """The range is chosen with the keyboard, is part of the address, and reports errors."""
    agent, _, _ = await charted(server)
    await page.goto(f"/#/agent/{agent}?from=2026-10-01T00:00&to=2026-10-02T00:00")
    await expect(page.get_by_text("No run ended in this time.").first).to_be_visible()
    await page.get_by_label("To", exact=True).fill("2026-09-30T00:00")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("alert")).to_contain_text("must end after it begins")
    await page.get_by_role("radio", name="Custom").focus()
    await page.keyboard.press("ArrowLeft")
    await expect(page.get_by_role("radio", name="30 days")).to_be_checked()
    await expect(page.get_by_text("Days are those of UTC")).to_be_visible()
    await expect(page).to_have_url(re.compile("range=30d"))
    await page.get_by_text("24 hours").click()
    await expect(page.get_by_text("Times are in")).to_be_visible()
