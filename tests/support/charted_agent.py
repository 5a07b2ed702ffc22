"""An agent with data for its charts."""

import time
from contextlib import suppress
from uuid import uuid4

from playwright.async_api import Page, expect
from playwright.async_api import TimeoutError as NotShownError

from live_server import LiveServer
from pages_data import record, support_run
from patience import patience

RANGE = "from=2026-11-01T00:00&to=2026-12-31T00:00"
"""Two months around the runs of `pages_data`, which are drawn in days."""

DAYS = 60
"""The number of buckets in that range."""


async def charted(server: LiveServer) -> tuple[str, str, str]:
    """Record a complete and a failed run; return their agent's name and their names."""
    agent = f"charted-{uuid4().hex[:8]}"
    good, bad = f"good-{agent}", f"bad-{agent}"
    await record(server, support_run(), agent=agent, external_identifier=good)
    await record(server, support_run(), agent=agent, status="failed", external_identifier=bad)
    return agent, good, bad


async def counted(page: Page, address: str, text: str) -> None:
    """Open a page of charts once the server has counted the recorded runs."""
    deadline = time.monotonic() + patience(60)
    while True:
        await page.goto("about:blank")
        await page.goto(address)
        await expect(page.get_by_role("heading", name="Runs by how they ended")).to_be_visible()
        # The page shows what the server had counted when it was asked.
        with suppress(NotShownError):
            await page.get_by_text(text, exact=True).first.wait_for(timeout=2_000, state="attached")
            return
        assert time.monotonic() < deadline, f"{text!r} does not appear on {address}"
