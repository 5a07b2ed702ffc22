"""A headless Chromium for tests of the pages, and what no page may ever do."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright

ROOT = Path(__file__).resolve().parents[2]
OWN_BROWSERS = ROOT / ".venv" / "browsers"
FLAGS = (
    "--no-sandbox",  # it runs as root in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
on_both_backends = pytest.mark.parametrize("backend", ["sqlite", "postgresql"], scope="session")
"""For one test of each page; behaviour of the browser alone is tested on SQLite."""

HOW = "No Chromium: run scripts/browser, which installs one, or `apt-get install chromium`."


def executable() -> str | None:
    """The path of a Chromium, or None for Playwright's own below `.venv`."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    assert OWN_BROWSERS.is_dir(), HOW
    os.environ["PLAYWRIGHT_BROWSERS_PATH"] = str(OWN_BROWSERS)
    return None


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser that is closed at the end of the block."""
    path = executable()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


class Offences:
    """What a page did that is forbidden: errors on its console, and requests elsewhere."""

    def __init__(self, page: Page, origin: str) -> None:
        self.expected_statuses: set[int] = set()
        self._found: list[str] = []
        self._origin = urlsplit(origin).netloc
        page.on("pageerror", lambda error: self._found.append(f"exception: {error}"))
        page.on("dialog", lambda dialog: self._found.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self._asked(request.url))
        page.on("response", lambda response: self._answered(response.url, response.status))
        # A failed request is on the console as well; which statuses are expected is known here.
        page.on(
            "console",
            lambda said: (
                said.type in {"error", "warning"}
                and not said.text.startswith("Failed to load resource")
                and self._found.append(f"console: {said.text}")
            ),
        )

    def assert_none(self) -> None:
        """Fail with all of them."""
        assert not self._found, self._found

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != self._origin:
            self._found.append(f"request to {url}")

    def _answered(self, url: str, status: int) -> None:
        if status >= 400 and status not in self.expected_statuses:
            self._found.append(f"{status} from {url}")
