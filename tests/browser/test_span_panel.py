"""The panel of a span: facts, payloads of any size, and links."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from live_server import LiveServer
from pages_data import record, support_run
from patience import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def opened(page: Page, server: LiveServer, span: str) -> str:
    """Record the small run and open the panel of one of its spans; the run's id."""
    run_id = await record(server, support_run())
    await page.goto(f"/#/run/{run_id}?span={run_id}.{span}")
    await expect(page.get_by_role("complementary")).to_contain_text("Payload")
    return run_id


async def test_broken_schema(page: Page, server: LiveServer) -> None:
    """The error is shown at the value that breaks the schema."""
    await opened(page, server, "reply")
    broken = page.get_by_role("region", name="Payload").locator(".broken")
    await expect(broken).to_contain_text('"temperature": "hot"')
    await expect(broken).to_contain_text('is not of type "number"')


async def test_links(page: Page, server: LiveServer) -> None:
    """The panel leads to the parent and to the children of its span."""
    run_id = await opened(page, server, "plan")
    panel = page.get_by_role("complementary")
    await panel.get_by_role("button", name="search_documents").click()
    await expect(page).to_have_url(f"{server.url}/#/run/{run_id}?span={run_id}.search")
    await expect(panel.get_by_role("note")).to_contain_text("TimeoutError")
    await panel.get_by_role("button", name="Model call").click()
    await expect(page).to_have_url(f"{server.url}/#/run/{run_id}?span={run_id}.plan")


async def test_raw_and_download(page: Page, server: LiveServer) -> None:
    """A span is shown as the API gives it, and its payload is downloaded as JSON."""
    run_id = await opened(page, server, "reply")
    await page.get_by_role("button", name="Show the raw span").click()
    await expect(page.get_by_role("region", name="Raw span")).to_contain_text(f'"{run_id}.reply"')
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download").first.click()
    path = await (await download.value).path()
    assert json.loads(Path(path).read_text(encoding="utf-8"))["temperature"] == "hot"


async def test_copy(page: Page, server: LiveServer) -> None:
    """A payload is copied as JSON, and the button confirms it."""
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await opened(page, server, "reply")
    await page.get_by_role("button", name="Copy", exact=True).first.click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert json.loads(copied)["temperature"] == "hot"


async def test_width(page: Page, server: LiveServer) -> None:
    """The panel is resized with the mouse and with keys, and keeps its width."""
    await opened(page, server, "plan")
    panel = page.get_by_role("complementary")
    handle = page.get_by_role("separator", name="Width of the panel")

    async def width() -> float:
        box = await panel.bounding_box()
        assert box is not None
        return box["width"]

    await handle.hover()
    await page.mouse.down()
    await page.mouse.move(840, 400, steps=3)
    await page.mouse.up()
    await eventually(width, lambda dragged: dragged == pytest.approx(600, abs=2))
    await handle.focus()
    await page.keyboard.press("ArrowLeft")
    await eventually(width, lambda wider: wider == pytest.approx(632, abs=2))
    await page.reload()
    await expect(panel).to_contain_text("Payload")
    await eventually(width, lambda kept: kept == pytest.approx(632, abs=2))


async def test_twenty_megabytes(page: Page, server: LiveServer) -> None:
    """A payload of 20 MB does not block the page, and its invalid value can be found."""
    run_id = await record(server, support_run())
    payload: dict[str, Any] = {"long": "x" * 10_000_000}
    payload["lines"] = [f"line {number} " + "y" * 80 for number in range(100_000)]
    payload["broken"] = "here"
    span = f"{run_id}.plan"
    answer = await page.context.request.get(f"/api/v1/agent_spans/{span}")
    body = await answer.json()
    body["details"]["payload"] = payload
    body["details"]["payload_validation"] = {"status": "error", "message": '"/broken": is wrong'}
    # Larger than a server accepts by default. The page has no such limit.
    await page.route(f"**/agent_spans/{span}", lambda route: route.fulfill(json=body))
    await page.goto(f"/#/run/{run_id}?span={span}")
    region = page.get_by_role("region", name="Payload")
    await expect(region).to_contain_text('"long"')
    assert len(await region.inner_text()) < 20_000
    await page.get_by_role("button", name="Show what is broken").click()
    await expect(region.locator(".broken")).to_contain_text('"broken": "here"')
    await page.get_by_role("button", name="Wrap").first.click()
    await region.evaluate("(box) => box.scrollTo(0, 0)")
    await expect(region).to_contain_text("more characters")
