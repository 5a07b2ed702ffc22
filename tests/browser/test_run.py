"""One run: its timeline, its spans, and stopping it."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from browser import Offences, on_both_backends
from live_server import LiveServer
from pages_data import Span, record, support_run
from patience import eventually, patience

pytestmark = pytest.mark.asyncio(loop_scope="session")

AGENT = """
import time
from prefactor_recorder import Recorder, RunTerminated

recorder = Recorder()
try:
    with recorder.run(agent_id="stoppable", external_identifier="stoppable") as run:
        while True:
            with run.span("step", {}):
                time.sleep(0.05)
except RunTerminated as stop:
    print(f"stopped: {stop.reason}")
"""


async def opened(page: Page, server: LiveServer, span: str = "", **registration: str) -> str:
    """Record the small run and open it, or a link to one of its spans; its id."""
    run_id = await record(server, support_run(), **registration)
    link = f"?span={run_id}.{span}" if span else ""
    await page.goto(f"/#/run/{run_id}{link}")
    await expect(page.get_by_role("tree")).to_be_visible()
    # The names in the header are read last.
    where = page.get_by_role("navigation", name="Where this is")
    await expect(where).to_contain_text("2.4.1 · Default")
    if span:
        # It takes its width from the tree.
        await expect(page.get_by_role("complementary")).to_be_visible()
    return run_id


@on_both_backends
async def test_header(page: Page, server: LiveServer) -> None:
    """A run's header shows its name, its outcome and its figures."""
    await opened(page, server)
    await expect(page.get_by_role("heading", name="Clear the backlog")).to_be_visible()
    main = page.get_by_role("main")
    for text in ("complete", "support-bot", "2.4.1", "10.0 s", "Failed", "Tokens", "127"):
        await expect(main).to_contain_text(text)


async def test_tree(page: Page, server: LiveServer) -> None:
    """Every span has a row that shows its summary and its duration, at its level of the tree."""
    await opened(page, server)
    rows = page.get_by_role("treeitem")
    await expect(rows).to_have_count(4)
    levels = [await one.get_attribute("aria-level") for one in await rows.all()]
    assert levels == ["1", "2", "3", "2"]
    await expect(rows.nth(1)).to_contain_text("Plan the refund")
    await expect(rows.nth(1)).to_contain_text("2.00 s")


async def test_select(page: Page, server: LiveServer) -> None:
    """A click shows the span's payloads, moves no row, and is part of the address."""
    run_id = await opened(page, server)
    target = page.get_by_role("treeitem").nth(3)
    before = await target.bounding_box()
    await target.click()
    panel = page.get_by_role("complementary")
    await expect(panel).to_contain_text('"prompt": "Write the reply"')
    await expect(panel).to_contain_text('"response": "Good day"')
    await expect(panel).to_contain_text("The payload does not match its schema")
    after = await target.bounding_box()
    assert before is not None
    assert after is not None
    assert (before["x"], before["y"]) == (after["x"], after["y"])
    await expect(page).to_have_url(re.compile(f"span={run_id}.reply"))
    await page.keyboard.press("Escape")
    await expect(panel).to_have_count(0)


async def test_link_to_span(page: Page, server: LiveServer) -> None:
    """A link to a span selects it and shows it."""
    await opened(page, server, "search")
    selected = page.get_by_role("treeitem", selected=True)
    await expect(selected).to_contain_text("refund policy")
    await expect(page.get_by_role("complementary")).to_contain_text("TimeoutError")


async def test_keys(page: Page, server: LiveServer) -> None:
    """The arrows move through the tree and fold it, and digits fold to a number of levels."""
    await opened(page, server)
    selected = page.get_by_role("treeitem", selected=True)
    rows = page.get_by_role("treeitem")
    for key, text in [("ArrowDown", "Clear"), ("ArrowRight", "Plan"), ("ArrowRight", "policy")]:
        await page.keyboard.press(key)
        await expect(selected).to_contain_text(text)
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("ArrowLeft")
    await expect(rows).to_have_count(3)
    await page.keyboard.press("1")
    await expect(rows).to_have_count(1)
    await page.keyboard.press("9")
    await expect(rows).to_have_count(4)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_failures(page: Page, server: LiveServer) -> None:
    """E goes to the next failed span, even where it was folded away."""
    await opened(page, server)
    await page.keyboard.press("1")
    await page.keyboard.press("e")
    selected = page.get_by_role("treeitem", selected=True)
    await expect(selected).to_contain_text("refund policy")
    await page.keyboard.press("s")
    await expect(selected).to_contain_text("Write the reply")


async def test_path_and_previous(page: Page, server: LiveServer) -> None:
    """C toggles the critical path on the bars, and Shift+E goes to the previous error."""
    await opened(page, server)
    path = page.locator(".row .path")
    await expect(path).to_have_count(0)
    await page.keyboard.press("c")
    await expect(path.first).to_be_visible()
    await expect(page.get_by_role("button", name="Critical path")).to_have_attribute(
        "aria-pressed", "true"
    )
    await page.keyboard.press("c")
    await expect(path).to_have_count(0)
    await page.keyboard.press("End")
    await page.keyboard.press("E")
    await expect(page.get_by_role("treeitem", selected=True)).to_contain_text("refund policy")


async def test_follow(page: Page, server: LiveServer) -> None:
    """F keeps the newest spans of a running agent in view."""
    spans = [Span(f"s{n}", "agent:tool", {"query": f"step {n}"}, start=n) for n in range(60)]
    run_id = await record(server, spans, status=None)
    await page.goto(f"/#/run/{run_id}")
    await expect(page.get_by_role("treeitem").first).to_contain_text("step 0")
    await page.keyboard.press("f")
    await expect(page.get_by_role("treeitem").last).to_contain_text("step 59")
    await page.keyboard.press("f")
    await expect(page.get_by_role("button", name="Follow")).to_have_attribute(
        "aria-pressed", "false"
    )


async def test_filter(page: Page, server: LiveServer) -> None:
    """A filter keeps matching spans with their ancestors, and shows how many match."""
    await opened(page, server)
    await page.keyboard.press("/")
    await page.keyboard.type("policy")
    await expect(page.get_by_role("treeitem")).to_have_count(3)
    await expect(page.get_by_text("1 of 4")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("treeitem")).to_have_count(4)


async def test_zoom(page: Page, server: LiveServer) -> None:
    """The time axis fits the selected span on Z, shows a brushed part, and can be reset."""
    await opened(page, server, "plan")
    bar = page.get_by_role("treeitem").nth(1).locator(".bar")

    async def width() -> float:
        box = await bar.bounding_box()
        assert box is not None
        return box["width"]

    whole = -1.0
    while (now := await width()) != whole:  # the axis follows the width of the page later
        whole = now
        await asyncio.sleep(0.1)
    await page.keyboard.press("z")
    await eventually(width, lambda zoomed: zoomed > 3 * whole)
    await page.keyboard.press("Z")
    await eventually(width, lambda reset: reset == pytest.approx(whole, abs=2))
    box = await page.locator("canvas").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 1, box["y"] + 20)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20, steps=3)
    await page.mouse.up()
    await eventually(width, lambda brushed: brushed == pytest.approx(2 * whole, rel=0.1))


async def test_deep_tree(page: Page, server: LiveServer) -> None:
    """A tree of a hundred levels stays within the page, and shows its depth."""
    spans = [
        Span(
            f"s{level}",
            "agent:tool",
            {"query": f"level {level}"},
            f"s{level - 1}" if level else None,
        )
        for level in range(100)
    ]
    run_id = await record(server, spans)
    await page.goto(f"/#/run/{run_id}?span={run_id}.s99")
    deepest = page.get_by_role("treeitem", selected=True)
    await expect(deepest).to_contain_text("level 99")
    await expect(deepest.locator("b")).to_be_in_viewport()
    await page.set_viewport_size({"width": 360, "height": 800})
    await page.reload()
    await expect(deepest.locator("b")).to_be_visible()
    name = await deepest.locator("b").bounding_box()
    took = await deepest.get_by_text("10 ms").bounding_box()
    assert name is not None
    assert took is not None
    assert name["x"] + name["width"] < took["x"]


async def test_never_ended(page: Page, server: LiveServer) -> None:
    """A span that its run left open says that it has not ended."""
    spans = [Span("root", "support:agent", {"goal": "Hang"}, took=None)]
    run_id = await record(server, spans)
    await page.goto(f"/#/run/{run_id}?span={run_id}.root")
    await expect(page.get_by_role("treeitem")).to_contain_text("not ended")
    await expect(page.get_by_role("complementary")).to_contain_text("not ended")


@on_both_backends
async def test_live(page: Page, server: LiveServer) -> None:
    """Spans appear while they are recorded, and selection and scroll position stay."""
    run_id = await record(server, support_run()[:3], status=None)
    await page.goto(f"/#/run/{run_id}?span={run_id}.search")
    await expect(page.get_by_role("treeitem")).to_have_count(3)
    selected = page.get_by_role("treeitem", selected=True)
    where = page.get_by_role("navigation", name="Where this is")
    await expect(where).to_contain_text("2.4.1 · Default")
    await expect(page.get_by_role("complementary")).to_contain_text("TimeoutError")
    before = await selected.bounding_box()
    answer = await page.context.request.post(
        "/api/v1/agent_spans",
        data={
            "details": {
                "agent_instance_id": run_id,
                "schema_name": "agent:tool",
                "payload": {"query": "arrived later"},
            }
        },
        headers={"X-Prefactor-Request": "1", "Origin": server.url},
    )
    assert answer.ok
    await expect(page.get_by_role("treeitem")).to_have_count(4)
    await expect(selected).to_contain_text("refund policy")
    assert await selected.bounding_box() == before


@on_both_backends
async def test_terminate(page: Page, server: LiveServer, tmp_path: Path) -> None:
    """Terminating a run on its page stops the agent that is running."""
    agent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        AGENT,
        env={**server.environment, "PREFACTOR_SPOOL_DIR": str(tmp_path / "spool")},
        stdout=subprocess.PIPE,
    )
    await page.goto("/#/runs?status=active")
    link = page.get_by_role("link", name="stoppable")
    waiting = page.get_by_role("button", name="new run")
    await expect(link.or_(waiting).first).to_be_visible()
    if await waiting.is_visible():
        await waiting.click()
    await link.first.click()
    await page.get_by_role("button", name="Terminate…").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="Terminate")).to_be_disabled()
    await dialog.get_by_label("Reason").fill("Budget exceeded")
    await dialog.get_by_role("button", name="Terminate").click()
    await expect(page.get_by_text("Terminated: Budget exceeded")).to_be_visible()
    async with asyncio.timeout(patience(30)):
        said, _ = await agent.communicate()
    assert said == b"stopped: Budget exceeded\n"
    await expect(page.get_by_role("button", name="Terminate…")).to_have_count(0)


async def test_forced_colors(page: Page, server: LiveServer) -> None:
    """Bars keep their colors, and the selected row is outlined, where a system forces colors."""
    run_id = await record(server, support_run())
    await page.emulate_media(forced_colors="active")
    await page.goto(f"/#/run/{run_id}?span={run_id}.plan")
    row = page.get_by_role("treeitem", selected=True)
    await expect(row.locator(".bar")).to_have_css("background-color", "rgb(124, 77, 219)")
    await expect(row).to_have_css("outline-style", "solid")


async def test_missing(page: Page, offences: Offences) -> None:
    """A run that does not exist is reported as missing, once."""
    offences.expected_statuses.add(404)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.clock.install()
    await page.goto("/#/run/no-such-run")
    await expect(page.get_by_role("alert")).to_contain_text("not found")
    await expect(page.get_by_role("link", name="Show all runs")).to_be_visible()
    before = len(asked)
    # Longer than the interval between two reads of an active run.
    await page.clock.run_for(3_000)
    assert len(asked) == before


async def test_missing_span(page: Page, server: LiveServer) -> None:
    """A link to a span that the run does not have says so, until another one is selected."""
    run_id = await record(server, support_run())
    await page.goto(f"/#/run/{run_id}?span=gone")
    await expect(page.get_by_text("This run has no span gone.")).to_be_visible()
    await page.get_by_role("treeitem").first.click()
    await expect(page.get_by_text("This run has no span")).to_have_count(0)
