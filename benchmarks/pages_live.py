"""Claim: a span that a client writes is on an open page within half a second.

A headless Chromium shows an active run of a real server. One span after the other is written by a
request of its own, at moments that do not follow the rhythm of the stream. Measured is the time
from before the request is sent until a row with the span's text has been drawn, by the clock that
both programs share. The floor is what the request itself takes.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time

from harness import HERE, Figure, finish
from loadgen import TOKEN, Connection, Server, new_run, request, servers

sys.path.append(str(HERE.parent / "tests" / "support"))

from playwright.async_api import Page, expect

from browser import chromium

SPANS = 16
WARM_UP = 2
LIMIT_SECONDS = 30
WATCH = """() => {
    const tree = document.querySelector("[role=tree]");
    const seen = {};
    const waiting = {};
    const look = () => {
        for (const row of tree.querySelectorAll("[role=treeitem]")) {
            const name = /span-[0-9]+-of-the-benchmark/.exec(row.textContent)?.[0];
            if (!name || seen[name]) continue;
            // Drawn is what the frame after this one shows.
            seen[name] = new Promise((drawn) =>
                requestAnimationFrame(() => requestAnimationFrame(() => drawn(Date.now()))));
            waiting[name]?.(seen[name]);
        }
    };
    new MutationObserver(look).observe(tree, {subtree: true, childList: true, characterData: true});
    window.drawnAt = (name) => seen[name] ?? new Promise((drawn) => { waiting[name] = drawn; });
}"""


def span(run_id: str, name: str) -> bytes:
    """The request that writes a span which says its name."""
    fields = {
        "agent_instance_id": run_id,
        "schema_name": "agent:llm",
        "status": "active",
        "payload": {"model": "large-1", "prompt": name},
    }
    return request("POST", "/api/v1/agent_spans", {"details": fields})


async def written(page: Page, connection: Connection, run_id: str, name: str) -> tuple[float, ...]:
    """Write a span; the milliseconds until the answer, and until it was drawn."""
    asked = span(run_id, name)
    before = time.time()
    answer = await connection.send(asked)
    answered = time.time()
    assert name.encode() in answer
    seen = page.evaluate("name => window.drawnAt(name)", name)
    drawn = await asyncio.wait_for(seen, LIMIT_SECONDS)
    await expect(page.get_by_role("treeitem").filter(has_text=name)).to_have_count(1)
    return (answered - before) * 1e3, drawn - before * 1e3


async def measure(server: Server) -> list[Figure]:
    """Write spans, and see each of them arrive."""
    run_id = await new_run(server.port)
    connection = await Connection.open(server.port)
    await connection.send(span(run_id, "the first span"))
    origin = f"http://127.0.0.1:{server.port}"
    chance = random.Random(1)
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
        page = await context.new_page()
        await page.goto(f"/#/run/{run_id}")
        await expect(page.get_by_role("treeitem")).to_have_count(1, timeout=LIMIT_SECONDS * 1e3)
        await page.evaluate(WATCH)
        found: list[tuple[float, ...]] = []
        for number in range(WARM_UP + SPANS):
            name = f"span-{number:02}-of-the-benchmark"
            found.append(await written(page, connection, run_id, name))
            await asyncio.sleep(chance.uniform(0.3, 0.8))
        await expect(page.get_by_role("treeitem")).to_have_count(1 + WARM_UP + SPANS)
    connection.close()
    answered, drawn = zip(*found[WARM_UP:], strict=True)
    floor = round(statistics.median(answered))
    print(f"{SPANS} spans, drawn after {min(drawn):.0f} to {max(drawn):.0f} ms")
    name = "a span is on an open page"
    return [Figure(f"{name}: median", round(statistics.median(drawn)), 500, 1_000, "ms", floor)]


def main() -> None:
    """Measure on SQLite: what follows the commit is the same on both databases."""
    with servers("sqlite") as started:
        figures = asyncio.run(measure(started[0]))
    finish(*figures)


if __name__ == "__main__":
    main()
