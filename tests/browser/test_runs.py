"""The list of runs: filters, search, and new runs."""

import csv
import io
import re
from uuid import uuid4

import pytest
from playwright.async_api import Locator, Page, Route, expect

from browser import on_both_backends
from live_server import LiveServer
from pages_data import TYPES, Span, derived, record, support_run
from prefactor_http import HttpClientConfig, PrefactorHttpClient

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_started(page: Page, server: LiveServer) -> None:
    """Runs are found by when they started: today, or from and before a time; a link keeps it."""
    name = f"run-{uuid4().hex[:8]}"
    await record(server, external_identifier=name)
    run = page.get_by_text(name)
    await page.clock.set_fixed_time("2026-12-02T09:00:00Z")
    await page.goto("/#/runs?started_after=2026-11-20T00:00:00Z")
    await expect(run).to_be_visible()
    await expect(page.get_by_role("textbox", name="Started from")).to_have_value(
        re.compile("2026-11-(19|20)T")
    )
    before = page.get_by_role("textbox", name="Started before")
    await before.fill("2026-11-21T00:00")
    await before.blur()
    await expect(run).to_have_count(0)
    await page.reload()
    await expect(before).to_have_value("2026-11-21T00:00")
    await page.get_by_role("button", name="Started: any").click()
    await expect(run).to_be_visible()
    await expect(before).to_be_hidden()
    await page.get_by_text("Today", exact=True).click()
    await expect(run).to_have_count(0)
    await expect(page.get_by_role("radio", name="Today")).to_be_checked()
    await page.get_by_role("radio", name="Last 30 days").check(force=True)
    await expect(run).to_be_visible()
    assert "started_after" not in page.url


async def test_download(page: Page, server: LiveServer) -> None:
    """The runs that pass the filters are saved as a table, however many pages they are."""
    agent = f"agent-{uuid4().hex[:8]}"
    names = [f"=cmd-{number:03}" for number in range(103)]
    await record_many(server, agent, names)
    await record(server, external_identifier=f"other-{agent}")
    await page.goto("/#/runs")
    await page.get_by_role("checkbox", name=agent).check(force=True)
    await expect(page.get_by_text("showing 100 of 103 runs")).to_be_visible()
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="Download CSV").click()
    await expect(page.get_by_text("Saved 103.")).to_be_visible()
    saved = await waiting.value
    assert saved.suggested_filename == "runs.csv"
    rows = list(csv.DictReader(io.StringIO((await saved.path()).read_text("utf-8-sig"))))
    assert sorted(row["external_identifier"] for row in rows) == [f"'{name}" for name in names]
    assert {row["status"] for row in rows} == {"active"}


async def record_many(server: LiveServer, agent: str, names: list[str]) -> None:
    """Register runs with these names that go on."""
    version = {"external_identifier": "1", "name": agent}
    types = {"external_identifier": "1", "span_type_schemas": TYPES}
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        for name in names:
            run = await client.agent_instances.register(
                agent_id=agent,
                agent_version=version,
                agent_schema_version=types,
                external_identifier=name,
            )
            await client.agent_instances.start(run.id)


@on_both_backends
async def test_rows(page: Page, server: LiveServer) -> None:
    """A row has the run's end, agent, subject and figures."""
    name = f"refund-{uuid4().hex[:8]}"
    run_id = await record(server, support_run(), status="failed", external_identifier=name)
    await derived(server, run_id, "backlog")
    await page.goto("/#/runs")
    row = page.get_by_role("listitem").filter(has_text=name)
    for text in ("failed", "support-bot", "2.4.1", "Clear the backlog", "10.0 s", "✕ 1", "127"):
        await expect(row).to_contain_text(text)


async def test_filter(page: Page, server: LiveServer) -> None:
    """A filter shows the matching runs, and is part of the address."""
    kept, gone = (f"run-{uuid4().hex[:8]}" for _ in range(2))
    await record(server, status="cancelled", external_identifier=kept)
    await record(server, status="complete", external_identifier=gone)
    await page.goto("/#/runs")
    await expect(page.get_by_text(gone)).to_be_visible()
    await page.get_by_text("cancelled", exact=True).first.click()
    await expect(page.get_by_text(gone)).to_have_count(0)
    await expect(page.get_by_text(kept)).to_be_visible()
    await expect(page).to_have_url(re.compile("status=cancelled"))
    await page.reload()
    await expect(page.get_by_text(kept)).to_be_visible()
    await expect(page.get_by_text(gone)).to_have_count(0)
    await page.get_by_role("button", name="Clear filters").click()
    await expect(page.get_by_text(gone)).to_be_visible()


async def test_new_runs_wait(page: Page, server: LiveServer) -> None:
    """New runs do not move the list until the person asks for them."""
    old = f"old-{uuid4().hex[:8]}"
    await record(server, external_identifier=old)
    await page.goto("/#/runs")
    first = page.get_by_role("listitem").first
    await expect(first).to_contain_text(old)
    name = f"new-{uuid4().hex[:8]}"
    await record(server, external_identifier=name)
    button = page.get_by_role("button", name="1 new run")
    await expect(button).to_be_visible()
    assert old in await first.inner_text()
    await button.click()
    await expect(first).to_contain_text(name)


async def test_changed_in_place(page: Page, server: LiveServer) -> None:
    """A listed run that ends is updated in place."""
    name = f"running-{uuid4().hex[:8]}"
    run_id = await record(server, status=None, external_identifier=name)
    await page.goto("/#/runs")
    row = page.get_by_role("listitem").filter(has_text=name)
    await expect(row).to_contain_text("active")
    answer = await page.context.request.post(
        f"/api/v1/agent_instance/{run_id}/finish",
        data={"status": "complete"},
        headers={"X-Prefactor-Request": "1", "Origin": server.url},
    )
    assert answer.ok
    await expect(row).to_contain_text("complete")


async def test_ended_under_a_filter(page: Page, server: LiveServer) -> None:
    """A run that ends under a filter for running ones is no longer shown as running."""
    name = f"ending-{uuid4().hex[:8]}"
    run_id = await record(server, status=None, external_identifier=name)
    await page.goto("/#/runs?status=active")
    row = page.get_by_role("listitem").filter(has_text=name)
    await expect(row).to_contain_text("active")
    answer = await page.context.request.post(
        f"/api/v1/agent_instance/{run_id}/finish",
        data={"status": "failed"},
        headers={"X-Prefactor-Request": "1", "Origin": server.url},
    )
    assert answer.ok
    await expect(row).to_contain_text("failed")


@on_both_backends
async def test_more_pages(page: Page, server: LiveServer) -> None:
    """Scrolling shows runs beyond the first page, with a filter by time as well."""
    oldest, agent = f"oldest-{uuid4().hex[:8]}", f"busy-{uuid4().hex[:8]}"
    items: list[dict[str, str]] = []
    for number in range(110):
        run_id, key = f"{agent}-{number}", f"{agent}-{number:03}"
        name = oldest if number == 0 else f"run {number}"
        run = {"agent_id": agent, "id": run_id, "external_identifier": name}
        items += [
            {"_type": "agent_instances/register", "idempotency_key": f"register-{key}", **run},
            {
                "_type": "agent_instances/start",
                "idempotency_key": f"start-{key}",
                "agent_instance_id": run_id,
            },
        ]
    sent = await page.context.request.post(
        "/api/v1/bulk",
        data={"items": items},
        headers={"X-Prefactor-Request": "1", "Origin": server.url},
    )
    assert sent.ok
    assert '"status":"error"' not in await sent.text()
    await page.goto("/#/runs?days=1")
    await page.locator("label").filter(has_text=agent).click()
    rows = page.get_by_role("listitem")
    await expect(rows).to_have_count(100)
    await expect(page.get_by_text("showing 100 of 110 runs, latest recorded first")).to_be_visible()
    await page.get_by_role("list", name="Runs").evaluate("list => list.scrollTo(0, 1e6)")
    await expect(page.get_by_text(oldest)).to_be_visible()
    await expect(rows).to_have_count(110)


async def test_keys(page: Page, server: LiveServer) -> None:
    """J and K move through the list, and Enter opens the run."""
    names = [f"keyed-{uuid4().hex[:8]}" for _ in range(2)]
    for name in names:
        await record(server, external_identifier=name)
    await page.goto("/#/runs")
    await expect(page.get_by_text(names[1])).to_be_visible()
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=names[1])).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("heading", name="Runs")).to_be_visible()


@on_both_backends
async def test_facets(page: Page, server: LiveServer) -> None:
    """Filters show how many runs each would leave, combine, and can be removed one by one."""
    agent = f"faceted-{uuid4().hex[:8]}"
    for status, spans in (("failed", support_run()), ("complete", []), ("complete", [])):
        kind = {"kind": "short" if spans == [] else "long"}
        await record(server, spans, status=status, agent=agent, metadata=kind)
    await page.goto("/#/runs")
    filters = page.get_by_role("search", name="Filters")
    rows = page.get_by_role("listitem")

    def choice(group: str, name: str) -> Locator:
        return filters.get_by_role("group", name=group).locator("label").filter(has_text=name)

    await choice("Agent", agent).click()
    await expect(rows).to_have_count(3)
    await expect(choice("Status", "complete")).to_contain_text("2")
    await expect(choice("Failed spans", "some")).to_contain_text("1")
    await expect(choice("Version", "2.4.1")).to_contain_text("3")
    await choice("Failed spans", "some").click()
    await expect(rows).to_have_count(1)
    # The counts of a filter leave out what was chosen in it.
    await expect(choice("Failed spans", "none")).to_contain_text("2")
    await expect(choice("Status", "complete")).to_contain_text("0")
    await page.get_by_role("button", name="Remove the filter some spans failed").click()
    await expect(rows).to_have_count(3)
    metadata = filters.get_by_role("textbox", name="Metadata")
    await metadata.fill("kind=short")
    await metadata.press("Enter")
    await expect(rows).to_have_count(2)
    # A key that is chosen is open, and its other values stay to be chosen.
    await expect(choice("kind", "short")).to_contain_text("2")
    await choice("kind", "long").click()
    await expect(rows).to_have_count(1)
    await filters.get_by_role("button", name="kind: any").click()
    await expect(rows).to_have_count(3)
    await filters.get_by_label("Seconds, at least").fill("eleven")
    await filters.get_by_label("Seconds, at least").press("Enter")
    await expect(filters.get_by_role("alert")).to_contain_text("such as 90")
    await expect(filters.get_by_label("Seconds, at least")).to_have_value("eleven")
    await filters.get_by_label("Seconds, at least").fill("11")
    await filters.get_by_label("Seconds, at least").press("Enter")
    await expect(page.get_by_text("No run matches these filters.")).to_be_visible()
    await page.get_by_role("button", name="Clear filters").click()
    await expect(page.get_by_text("No run matches these filters.")).to_have_count(0)


@on_both_backends
async def test_search(page: Page, server: LiveServer) -> None:
    """A search finds runs by words in their spans, and shows where they are."""
    word = f"zebra{uuid4().hex[:8]}"
    run_id = await record(server, [Span("root", "agent:tool", {"query": f"the {word} crossing"})])
    await derived(server, run_id, word)
    await page.goto("/#/runs")
    await expect(page.get_by_role("listitem").first).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type(f"{word[:9]}")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("listitem")).to_have_count(1)
    await expect(page.get_by_role("listitem")).to_contain_text(f"{word} crossing")
    await expect(page.get_by_text("showing 1 of 1 run")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Clear filters")).to_have_count(0)


async def test_peek(page: Page, server: LiveServer) -> None:
    """A run is previewed next to the list, J and K move on, and Enter opens it."""
    names = [f"peeked-{uuid4().hex[:8]}" for _ in range(2)]
    for name in names:
        await record(server, support_run(), external_identifier=name)
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.goto("/#/runs")
    await expect(page.get_by_text(names[1])).to_be_visible()
    peek = page.get_by_role("complementary", name="Peek")
    await page.keyboard.press("j")
    await page.keyboard.press("p")
    await expect(peek.get_by_role("heading", name=names[1])).to_be_visible()
    await expect(peek.get_by_role("treeitem")).to_have_count(4)
    await expect(peek.get_by_role("button", name="Expand")).to_be_in_viewport(ratio=1)
    await page.keyboard.press("j")
    await expect(peek.get_by_role("heading", name=names[0])).to_be_visible()
    await page.keyboard.press("k")
    await expect(peek.get_by_role("heading", name=names[1])).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(peek).to_have_count(0)
    await page.get_by_role("listitem").filter(has_text=names[0]).hover()
    row = page.get_by_role("listitem").filter(has_text=names[0])
    await row.get_by_role("button", name="Look at").click()
    await expect(peek.get_by_role("heading", name=names[0])).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=names[0])).to_be_visible()
    await expect(page).to_have_url(re.compile("/run/"))


async def test_saved_views(page: Page, server: LiveServer) -> None:
    """Filters are saved under a name, are a link after a reload, and can be deleted."""
    await record(server, status="cancelled")
    await page.goto("/#/runs?status=cancelled&purpose=live")
    views = page.get_by_role("region", name="Views")
    await views.get_by_role("button", name="Save view…").click()
    await page.get_by_role("dialog").get_by_label("Name").fill("Given up")
    await page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(views.get_by_role("link", name="Given up")).to_be_visible()
    await views.get_by_role("link", name="All runs").click()
    await page.reload()
    await views.get_by_role("link", name="Given up").click()
    await expect(page.get_by_role("radio", name="cancelled")).to_be_checked()
    await expect(page).to_have_url(re.compile("purpose=live"))
    await views.get_by_role("button", name="Delete the view Given up").click()
    await expect(views.get_by_role("link", name="Given up")).to_have_count(0)


async def test_large_counts(page: Page, server: LiveServer) -> None:
    """The figures of a run with 100,000 spans, many of them failed, do not overlap."""
    await record(server, support_run())

    async def enlarged(route: Route) -> None:
        response = await route.fetch()
        listed = await response.json()
        for run in listed["summaries"]:
            run["span_counts"] |= {"total": 100_000, "failed": 1_888}
            run["total_tokens"] = 84_800_000
        await route.fulfill(response=response, json=listed)

    await page.route("**/api/v1/agent_instance?*", enlarged)
    await page.goto("/#/runs")
    spans = page.get_by_role("listitem").locator(".spans").first
    await expect(spans).to_contain_text("1.89k")
    for width in (2560, 1440, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await spans.evaluate("one => one.scrollWidth <= one.clientWidth"), width
