"""A run saved as a file from its page."""

import json
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from live_server import LiveServer
from pages_data import Span, record
from pages_people import sign_in_as

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOOKUP = Span("root", "step", {"email": {"$sensitive": "string", "value": "ada@x"}})


async def saved(page: Page, name: str) -> tuple[str, str]:
    """Open the dialog, save one format, and return the name and the text of the file."""
    await page.get_by_role("button", name="Export…").click()
    dialog = page.get_by_role("dialog", name="Export this run")
    async with page.expect_download() as started:
        await dialog.get_by_role("link", name=name).click()
    download = await started.value
    text = Path(await download.path()).read_text(encoding="utf-8")
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    return download.suggested_filename, text


async def test_formats(page: Page, server: LiveServer) -> None:
    """Both formats are saved whole, with the run's id and the format in the name of the file."""
    run = await record(server, [LOOKUP])
    await page.goto(f"/#/run/{run}")

    name, text = await saved(page, "Save JSON Lines")
    assert name == f"{run}.jsonl"
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[-1]["type"] == "export_end"
    assert "ada@x" in text
    name, text = await saved(page, "Save OTLP JSON")
    assert name == f"{run}.otlp.json"
    assert "resourceSpans" in json.loads(text)


async def test_viewers_save_no_sensitive_values(stranger: Page, server: LiveServer) -> None:
    """A viewer is told that sensitive values are left out, and they are."""
    run = await record(server, [LOOKUP])
    await sign_in_as(stranger.context, server, "viewer")
    await stranger.goto(f"/#/run/{run}")
    await stranger.get_by_role("button", name="Export…").click()
    note = stranger.get_by_text("Values that are marked as sensitive are left out.")
    await expect(note).to_be_visible()
    await stranger.keyboard.press("Escape")

    _, text = await saved(stranger, "Save JSON Lines")
    assert json.loads(text.splitlines()[-1])["type"] == "export_end"
    assert "ada@x" not in text
