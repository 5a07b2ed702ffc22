"""Pages follow agents live, through lost connections, restarts and replicas."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest
from playwright.async_api import Browser, Page, Route, expect

from cut_proxy import cut_proxy
from live_server import LiveServer, start_server
from pages_data import Span, record, support_run
from patience import eventually
from postgres_server import PostgresServer
from prefactor_http import HttpClientConfig, PrefactorHttpClient

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOTE_TEXTS = """() => {
    globalThis.texts = [];
    const status = document.querySelector("header [role=status]");
    const note = () => globalThis.texts.push(status.textContent.trim());
    new MutationObserver(note).observe(status, { childList: true, subtree: true });
}"""


@asynccontextmanager
async def signed_in(browser: Browser, url: str, token: str) -> AsyncIterator[Page]:
    """A page in a separate browser, because all tabs of a browser share one stream."""
    context = await browser.new_context(base_url=url, viewport={"width": 1440, "height": 900})
    answer = await context.request.post(
        "/api/v1/session",
        data={"token": token},
        headers={"X-Prefactor-Request": "1", "Origin": url},
    )
    assert answer.ok, await answer.text()
    yield await context.new_page()
    await context.close()


async def add_span(server: LiveServer, run_id: str, query: str) -> None:
    """Record one more span of an active run."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        await client.agent_spans.create(run_id, "agent:tool", "active", {"query": query})


async def finish(server: LiveServer, run_id: str, status: Literal["complete", "failed"]) -> None:
    """End a run."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        await client.agent_instances.finish(run_id, status=status)


async def test_one_stream(page: Page, server: LiveServer) -> None:
    """Two tabs, with the list and a run, share one stream, and both are updated."""
    run_id = await record(server, support_run()[:3], status=None, external_identifier="shared")
    asked: list[str] = []
    other = await page.context.new_page()
    await page.goto("/#/runs")
    await other.goto(f"/#/run/{run_id}?span={run_id}.search")
    for one in (page, other):
        one.on("request", lambda request: asked.append(request.url))
    await expect(other.get_by_role("treeitem")).to_have_count(3)
    selected = other.get_by_role("treeitem", selected=True)
    # What moves rows while the page loads: the names in the header, and the panel.
    where = other.get_by_role("navigation", name="Where this is")
    await expect(where).to_contain_text("2.4.1 · Default")
    await expect(other.get_by_role("complementary")).to_contain_text("TimeoutError")
    before = await selected.bounding_box()
    spans, read = 3, -1
    # Until the stream is open, a change makes the page read everything again.
    while read != _skeletons(asked) and spans < 9:
        read = _skeletons(asked)
        spans += 1
        await add_span(server, run_id, "arrived later")
        await expect(other.get_by_role("treeitem")).to_have_count(spans)
    assert await selected.bounding_box() == before
    row = page.get_by_role("listitem").filter(has_text="shared").first
    await expect(row).to_contain_text("active")
    # A span came as an event, and the skeleton is read again when the run ends.
    async with other.expect_request("**/skeleton"):
        await finish(server, run_id, "failed")
    await expect(row).to_contain_text("failed")
    await expect(other.get_by_role("main")).to_contain_text("failed")
    await expect(other.get_by_role("button", name="Terminate…")).to_have_count(0)
    assert _skeletons(asked) == read + 1


def _skeletons(asked: list[str]) -> int:
    return sum(url.endswith("/skeleton") for url in asked)


async def test_slow_answers_do_not_pile_up(page: Page, server: LiveServer) -> None:
    """While an answer is slow, further requests for it share the next one."""
    run_id = await record(server, support_run()[:3], status=None)
    # Without shared workers, a page reads again every few seconds.
    await page.add_init_script("delete globalThis.SharedWorker")
    await page.clock.install()
    await page.goto(f"/#/run/{run_id}")
    await expect(page.get_by_role("treeitem")).to_have_count(3)
    asked: asyncio.Queue[Route] = asyncio.Queue()
    await page.route(f"**/api/v1/agent_instance/{run_id}", asked.put)
    for _ in range(6):
        await page.clock.run_for(5_000)
    slow = await asked.get()
    assert asked.empty()

    await slow.continue_()
    following = await asked.get()
    await page.evaluate("document.title")
    assert asked.empty()
    await add_span(server, run_id, "meanwhile")
    await following.continue_()
    await expect(page.get_by_role("treeitem")).to_have_count(4)


async def test_lost_connection(browser: Browser, server: LiveServer) -> None:
    """A lost connection is reported, and missed changes appear when it is back."""
    async with (
        cut_proxy(server.url) as (url, proxy),
        signed_in(browser, url, server.token) as page,
    ):
        run_id = await record(server, [Span("root", "agent:tool", {}, took=None)], status=None)
        await page.goto(f"{url}/#/run/{run_id}")
        rows = page.get_by_role("treeitem")
        await expect(rows).to_have_count(1)
        await add_span(server, run_id, "before")
        await expect(rows).to_have_count(2)
        proxy.cut()
        await expect(page.get_by_text("Reconnecting…")).to_be_visible()
        await add_span(server, run_id, "meanwhile")
        # It is shown for a few seconds only, which an expectation could miss.
        await page.evaluate(NOTE_TEXTS)
        proxy.mend()
        await eventually(
            lambda: page.evaluate("globalThis.texts"), lambda texts: "Live again" in texts
        )
        await expect(rows).to_have_count(3)
        await add_span(server, run_id, "after")
        await expect(rows).to_have_count(4)


async def test_restart(
    browser: Browser, serve: Callable[..., LiveServer], port: int, tmp_path: Path
) -> None:
    """A page that is open during a server restart shows later changes."""
    server = serve(tmp_path, port=port)
    async with signed_in(browser, server.url, server.token) as page:
        run_id = await record(server, support_run()[:2], status=None, external_identifier="kept")
        await page.goto("/#/runs")
        row = page.get_by_role("listitem").filter(has_text="kept")
        await expect(row).to_contain_text("active")
        server.stop()
        await expect(page.get_by_text("Reconnecting…")).to_be_visible()
        again = serve(tmp_path, port=port)
        await finish(again, run_id, "complete")
        await expect(row).to_contain_text("complete")
        await record(again, external_identifier="newcomer")
        await page.get_by_role("button", name="1 new run").click()
        await expect(page.get_by_text("newcomer")).to_be_visible()


async def test_replicas(browser: Browser, postgres: PostgresServer, tmp_path: Path) -> None:
    """A page of one server shows what is written through another."""
    database = postgres.create_database(f"pages_live_{uuid4().hex[:8]}")
    written = start_server(tmp_path / "written", database=database)
    read = start_server(tmp_path / "read", database=database)
    try:
        async with signed_in(browser, read.url, read.token) as page:
            await record(written, external_identifier="first")
            await page.goto("/#/runs")
            await expect(page.get_by_text("first", exact=True)).to_be_visible()
            run_id = await record(
                written, support_run()[:2], status=None, external_identifier="elsewhere"
            )
            await page.get_by_role("button", name="1 new run").click()
            await page.get_by_role("link", name="elsewhere").click()
            await expect(page.get_by_role("treeitem")).to_have_count(2)
            await add_span(written, run_id, "written elsewhere")
            await expect(page.get_by_text("written elsewhere")).to_be_visible()
    finally:
        written.stop()
        read.stop()
