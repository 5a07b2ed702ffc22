"""The time axis of runs that a wrong clock or a long wait would make unreadable, and names."""

import pytest
from playwright.async_api import Locator, Page, expect

from browser import on_both_backends
from live_server import LiveServer
from pages_data import YEAR, Span, record, waiting_run, work

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def widths(rows: Locator) -> list[float]:
    """Return how wide the bars of rows are, in pixels."""
    return await rows.locator(".bar").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().width)"
    )


@pytest.mark.parametrize(
    ("start", "took"),
    [(-YEAR, 300), (YEAR, 300), (-YEAR, YEAR + 4_000), (4_000, YEAR)],
    ids=["behind", "ahead", "started behind", "ended ahead"],
)
async def test_wrong_clock(page: Page, server: LiveServer, start: int, took: int) -> None:
    """One span whose clock is a year off leaves all others readable, and the axis says what it cut.

    The whole time can be shown, and the panel of the span says when its clock was.
    """
    odd = Span("odd", "agent:tool", {"query": "another clock"}, "root", start, took)
    run_id = await record(server, [*work(), odd])
    await page.goto(f"/#/run/{run_id}?span={run_id}.odd")
    steps = page.get_by_role("treeitem").filter(has_text="step")
    await expect(steps).to_have_count(10)
    assert min(await widths(steps)) > 15
    cuts = page.get_by_role("button", name="365 d 00 h left out")
    await expect(cuts).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(".cut-label")).to_have_text("365 d")
    year = "2025" if start < 0 else "2027" if start == YEAR else "2026"
    await expect(page.get_by_role("complementary")).to_contain_text(f"29, {year}")
    await page.keyboard.press("x")
    await expect(cuts).to_have_attribute("aria-pressed", "false")
    assert max(await widths(steps)) < 3
    await page.keyboard.press("x")
    assert min(await widths(steps)) > 15


async def test_wrong_clock_of_a_root(page: Page, server: LiveServer) -> None:
    """The critical path is that of the work, not that of a root whose clock is a year ahead."""
    odd = Span("odd", "support:agent", {"goal": "Another clock"}, None, YEAR, 300)
    run_id = await record(server, [*work(), odd])
    await page.goto(f"/#/run/{run_id}")
    rows = page.get_by_role("treeitem")
    await expect(rows).to_have_count(12)
    await page.keyboard.press("c")
    await expect(rows.filter(has_text="step 9").locator(".path")).to_have_count(1)
    await expect(rows.filter(has_text="Another clock").locator(".path")).to_have_count(0)


@on_both_backends
async def test_wait(page: Page, server: LiveServer) -> None:
    """A run that waited a night for a person shows the work before it and after it.

    A part of the overview can be brushed, and its whole time shown again.
    """
    run_id = await record(server, waiting_run())
    await page.goto(f"/#/run/{run_id}")
    rows = page.get_by_role("treeitem")
    steps = rows.filter(has_text="step")
    await expect(steps).to_have_count(20)
    assert min(await widths(steps)) > 7
    await expect(rows.filter(has_text="Approve")).to_contain_text("10 h 00 m")
    await expect(page.locator(".cut-label")).to_have_text("10 h")
    before = await widths(steps)
    box = await page.locator("canvas").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 1, box["y"] + 20)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20, steps=3)
    await page.mouse.up()
    assert max(await widths(steps)) == pytest.approx(4 * max(before), rel=0.1)
    await page.get_by_role("button", name="Reset zoom").click()
    assert await widths(steps) == pytest.approx(before, abs=0.5)


async def test_work_is_not_cut(page: Page, server: LiveServer) -> None:
    """A step that works for hours keeps its length, for it is what the reader looks for."""
    long = Span("long", "agent:llm", {"prompt": "Think"}, "root", 10_000, 36_000_000)
    run_id = await record(server, [*work(), long])
    await page.goto(f"/#/run/{run_id}")
    await expect(page.get_by_role("treeitem")).to_have_count(12)
    await expect(page.get_by_role("button", name="left out")).to_have_count(0)


async def test_compared_with_a_wrong_clock(page: Page, server: LiveServer) -> None:
    """A span whose clock is wrong is one difference of two runs, and changes no total."""
    odd = Span("odd", "agent:llm", {"prompt": "another clock"}, "root", -YEAR, 300)
    one, other = await record(server, work()), await record(server, [*work(), odd])
    await page.goto(f"/#/compare/{one}/{other}")
    told = page.get_by_role("status").filter(has_text="changed,")
    await expect(told).to_have_text("0 changed, 1 added, 0 removed, 11 same")
    duration = page.get_by_role("main").locator("dl > div").first
    await expect(duration).to_have_text("Duration 10.0 s")


async def test_names_on_several_lines(page: Page, server: LiveServer) -> None:
    """A line break in the name of a tool or a model is a space wherever the name is shown."""
    model, tool = {"model": "large\n2", "prompt": "x"}, {"tool": "read\r\nfile", "query": "y"}
    spans = [Span("model", "agent:llm", model), Span("tool", "agent:tool", tool)]
    run_id = await record(server, spans, external_identifier="first\nsecond", agent="two\nlines")
    for address in (
        f"run/{run_id}",
        f"run/{run_id}?view=transcript",
        f"compare/{run_id}/{run_id}",
        f"runs?peek={run_id}",
    ):
        await page.goto(f"/#/{address}")
        for name in ("large 2", "read file"):
            await expect(page.get_by_role("main")).to_contain_text(name)
    await page.goto(f"/#/run/{run_id}?span={run_id}.tool")
    await expect(page.get_by_role("complementary")).to_contain_text("read file")
    await expect(page).to_have_title("first second · Prefactor")
    await page.goto("/#/account/retention")
    await page.get_by_role("button", name="Add rule…").click()
    await page.get_by_role("combobox", name="Agent").fill("two")
    suggested = page.locator("datalist option[value='two lines']")
    await expect(suggested).to_have_count(1)
