"""An empty server, and how it changes with its first run."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from browser import Offences
from live_server import LiveServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_first_run(
    browser: Browser, serve: Callable[..., LiveServer], tmp_path: Path
) -> None:
    """An empty server shows a program that records, and shows the list once it has run."""
    server = serve(tmp_path)
    page = await browser.new_page(base_url=server.url)
    offences = Offences(page, server.url)
    offences.expected_statuses.add(401)
    await page.goto("/")
    await page.get_by_role("button", name="Token").click()
    await page.get_by_label("Token", exact=True).fill(server.token)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    await expect(page.get_by_text(f"export PREFACTOR_API_URL={server.url}")).to_be_visible()
    program = await page.locator("pre").nth(1).inner_text()
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=server.environment
    )
    assert await agent.wait() == 0
    await expect(page.get_by_role("link", name="hello-agent")).to_be_visible()
    await page.close()
    offences.assert_none()
