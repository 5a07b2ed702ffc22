"""Claim: the page of a run of 100,000 spans is there within a second of CPU, in 40 MB, and flows.

A headless Chromium opens the page of the large example run on a real server. Measured is what the
browser itself counts: CPU of the renderer from navigation to rows, JavaScript memory after
a collection of garbage, and CPU of the main thread for scrolling, filtering and collapsing. The
floor of the first is the same page with a run of ten spans. Sizes are those of the built files that
the browser asks for until a page is there, compressed with gzip.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from harness import HERE, Figure, finish
from loadgen import PROGRAM, TOKEN, Server, servers

from prefactor_server.http.pages import FOLDER

sys.path.append(str(HERE.parent / "tests" / "support"))

from playwright.async_api import CDPSession, Page, expect

from browser import chromium

SPANS = 100_000
LARGE, SMALL = f"seed-1-large-{SPANS}", "seed-1-10-000000"
FRAMES, JUMPS = 60, 30
ROW = 26
SCROLL = """async ([frames, pixels]) => {
    const tree = document.querySelector("[role=tree]");
    for (let frame = 0; frame < frames; frame++) {
        tree.scrollBy(0, pixels);
        await new Promise(requestAnimationFrame);
    }
    return tree.scrollTop;
}"""


class Files:
    """The built files that a page asks for."""

    def __init__(self, page: Page) -> None:
        self._names: set[str] = set()
        page.on("request", lambda request: self._asked(request.url))

    def taken(self, suffix: str) -> set[str]:
        """Those of a kind."""
        return {name for name in self._names if name.endswith(suffix)}

    def _asked(self, url: str) -> None:
        _, _, name = url.partition("/assets/")
        if name:
            self._names.add(f"assets/{name}")


class Meter:
    """What the browser counts for a page."""

    def __init__(self, session: CDPSession) -> None:
        self._session = session

    async def read(self, name: str) -> float:
        """One of the browser's metrics."""
        answer: dict[str, Any] = await self._session.send("Performance.getMetrics")
        return next(float(one["value"]) for one in answer["metrics"] if one["name"] == name)

    async def megabytes(self) -> float:
        """JavaScript memory that is in use after a collection of garbage."""
        await self._session.send("HeapProfiler.collectGarbage")
        return await self.read("JSHeapUsedSize") / 1e6

    async def milliseconds(self, name: str, act: Callable[[], Awaitable[object]]) -> float:
        """How much a metric in seconds grows while something is done."""
        before = await self.read(name)
        await act()
        return (await self.read(name) - before) * 1e3


async def opened(page: Page, meter: Meter, run_id: str) -> float:
    """Open a run from another page of the same server; the renderer's CPU until there are rows."""
    await page.goto("/healthz")

    async def act() -> None:
        await page.goto(f"/#/run/{run_id}")
        await expect(page.get_by_role("treeitem").nth(8)).to_be_visible(timeout=60_000)

    return await meter.milliseconds("ProcessTime", act)


async def size(page: Page, address: str, role: Literal["treeitem", "listitem"]) -> list[float]:
    """Kilobytes of JavaScript and of CSS that a page asks for until its first row is there."""
    files = Files(page)
    await page.goto(f"/#/{address}")
    await expect(page.get_by_role(role).first).to_be_visible(timeout=60_000)
    await page.close()
    found = [kilobytes(files.taken(suffix)) for suffix in (".js", ".css")]
    assert all(found), "The pages are not built: run `make pages`"
    return found


async def scrolled(page: Page, meter: Meter, frames: int, pixels: int) -> float:
    """CPU of the main thread per frame of scrolling."""
    before = float(await page.evaluate("document.querySelector('[role=tree]').scrollTop"))
    after = 0.0

    async def act() -> None:
        nonlocal after
        after = float(await page.evaluate(SCROLL, [frames, pixels]))

    spent = await meter.milliseconds("ThreadTime", act)
    assert after == before + frames * pixels, (before, after)
    return spent / frames


async def measure(server: Server) -> list[Figure]:
    """Everything that the browser counts."""
    origin = f"http://127.0.0.1:{server.port}"
    async with chromium() as browser:
        context = await browser.new_context(
            base_url=origin, viewport={"width": 1440, "height": 900}
        )
        answer = await context.request.post(
            "/api/v1/session",
            data={"token": TOKEN},
            headers={"X-Prefactor-Request": "1", "Origin": origin},
        )
        assert answer.ok
        sizes = [
            await size(await context.new_page(), f"run/{SMALL}", "treeitem"),
            await size(await context.new_page(), "runs", "listitem"),
        ]
        page = await context.new_page()
        session = await context.new_cdp_session(page)
        await session.send("Performance.enable")
        meter = Meter(session)
        await opened(page, meter, SMALL)
        floor = await opened(page, meter, SMALL)
        cpu = await opened(page, meter, LARGE)
        await expect(page.get_by_role("main")).to_contain_text(f"{SPANS:,}")
        memory = await meter.megabytes()
        frame = await scrolled(page, meter, FRAMES, 5 * ROW)
        jump = await scrolled(page, meter, JUMPS, 700)

        async def filtered() -> None:
            await page.get_by_label("Filter spans").fill("milk")
            await expect(page.get_by_text(f"of {SPANS:,}")).to_be_visible()

        async def collapsed() -> None:
            await page.keyboard.press("1")
            await expect(page.get_by_role("treeitem")).to_have_count(1)

        filtering = await meter.milliseconds("ThreadTime", filtered)
        await page.get_by_label("Filter spans").fill("")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("treeitem").nth(8)).to_be_visible()
        collapsing = await meter.milliseconds("ThreadTime", collapsed)
    name = f"run page of {SPANS:,} spans"
    return [
        Figure(f"{name}: CPU to rows", round(cpu), 1_000, 2_000, "ms", round(floor)),
        Figure(f"{name}: memory", round(memory, 1), 40, 80, "MB"),
        Figure(f"{name}: 5 rows a frame", round(frame, 1), 16, 32, "ms"),
        Figure(f"{name}: a page a jump", round(jump, 1), 35, 70, "ms"),
        Figure(f"{name}: filter", round(filtering), 150, 300, "ms"),
        Figure(f"{name}: collapse all", round(collapsing), 100, 200, "ms"),
        Figure("run page: JavaScript, gzip", sizes[0][0], 45, 60, "kB"),
        Figure("run page: CSS, gzip", sizes[0][1], 8, 12, "kB"),
        Figure("list of runs: JavaScript, gzip", sizes[1][0], 35, 45, "kB"),
        Figure("list of runs: CSS, gzip", sizes[1][1], 8, 12, "kB"),
    ]


def kilobytes(names: set[str]) -> float:
    """The size of built files after compression with gzip."""
    return round(
        sum(len(gzip.compress((FOLDER / name).read_bytes(), 9)) for name in names) / 1e3, 1
    )


def main() -> None:
    """Measure on SQLite: what a page costs its browser does not depend on the database."""
    with servers("sqlite") as started:
        subprocess.run(
            [PROGRAM, "seed", "--seed", "1", "--runs", "10", "--large-run"],
            env={
                **os.environ,
                "PREFACTOR_API_URL": f"http://127.0.0.1:{started[0].port}",
                "PREFACTOR_API_TOKEN": TOKEN,
            },
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        figures = asyncio.run(measure(started[0]))
    finish(*figures)


if __name__ == "__main__":
    main()
