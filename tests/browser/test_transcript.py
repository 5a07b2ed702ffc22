"""A run as a conversation."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, Request, expect

from browser import on_both_backends
from live_server import LiveServer
from pages_data import Span, record

pytestmark = pytest.mark.asyncio(loop_scope="session")

TYPES = [
    {"name": name, "title": title, "params_schema": {}, "result_schema": {}, "template": template}
    for name, title, template in (
        ("support:agent", "Agent", "{{ goal }}"),
        ("support:llm", "Model call", "{{ model }}"),
        ("support:tool", "Tool", "{{ tool_name }}"),
        ("support:embedding", "Embedding", "{{ vectors }} vectors"),
    )
]


def said(role: str, content: str) -> dict[str, Any]:
    """A message in the form that most models accept."""
    return {"role": role, "content": content}


def conversation() -> list[Span]:
    """An agent that asks a model twice, uses a tool, and asks another agent."""
    asked = [said("system", "Be brief"), said("user", "Where is my order?")]
    call = {"id": "c1", "name": "look_up", "arguments": {"order": 7}}
    answered = [
        *asked,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "shipped"},
    ]
    return [
        Span("root", "support:agent", {"goal": "Answer Ann"}, took=9_000),
        Span(
            "first",
            "support:llm",
            {"model": "large-1", "messages": asked},
            "root",
            100,
            result={"tool_calls": [call]},
        ),
        Span(
            "tool",
            "support:tool",
            {"tool_name": "look_up", "arguments": {"order": 7}},
            "root",
            200,
            result={"state": "shipped"},
        ),
        Span(
            "second",
            "support:llm",
            {"model": "large-1", "messages": answered},
            "root",
            300,
            result={"content": "It is on its way."},
        ),
        Span("sub", "support:agent", {"goal": "Check the address"}, "root", 400),
        Span(
            "nested",
            "support:llm",
            {"model": "small-1", "prompt": "Is it complete?"},
            "sub",
            410,
            5,
            "failed",
            {"error": {"type": "TimeoutError", "message": "no answer", "stacktrace": "at line 7"}},
        ),
        Span("vectors", "support:embedding", {"vectors": 3}, "root", 500),
    ]


async def opened(page: Page, server: LiveServer, spans: list[Span] | None = None) -> str:
    """Record a run and open its transcript; its id."""
    run_id = await record(server, conversation() if spans is None else spans, types=TYPES)
    await page.goto(f"/#/run/{run_id}?view=transcript")
    return run_id


@on_both_backends
async def test_conversation(page: Page, server: LiveServer) -> None:
    """Messages are in order and not repeated, tools open from one line, sub-agents are folded."""
    await opened(page, server)
    entries = page.get_by_role("feed").get_by_role("article")
    await expect(entries).to_have_count(6)
    for place, texts in enumerate(
        (
            ["Answer Ann"],
            ["large-1", "Be brief", "Where is my order?"],
            ["look_up"],
            ["It is on its way."],
            ["Check the address", "1 step"],
            ["3 vectors"],
        )
    ):
        for text in texts:
            await expect(entries.nth(place)).to_contain_text(text)
    for once in ("Be brief", "Where is my order?", "shipped"):
        assert await page.get_by_text(once, exact=True).count() <= 1
    await entries.nth(2).get_by_role("button", name="Open look_up").click()
    await expect(entries.nth(2)).to_contain_text('"state": "shipped"')
    await entries.nth(3).get_by_role("button", name="shown before").click()
    await expect(entries.nth(3)).to_contain_text("Where is my order?")


async def test_select(page: Page, server: LiveServer) -> None:
    """The selected span is the same in all views, and part of the address."""
    run_id = await opened(page, server)
    await page.get_by_text("It is on its way.").click()
    await expect(page.get_by_role("complementary")).to_contain_text("large-1")
    await expect(page).to_have_url(re.compile(f"span={run_id}.second"))
    views = page.get_by_role("navigation", name="Views of the run")
    await views.get_by_role("button", name="Timeline").click()
    row = page.get_by_role("treeitem", selected=True)
    await expect(row).to_contain_text("large-1")
    await page.goto(f"/#/run/{run_id}?view=transcript&span={run_id}.nested")
    await page.reload()
    current = page.locator("article[aria-current=true]")
    await expect(current).to_contain_text("Is it complete?")


async def test_keys(page: Page, server: LiveServer) -> None:
    """Arrows move and open, and E goes to the next failure, even in a folded part."""
    await opened(page, server)
    await expect(page.get_by_role("article")).to_have_count(6)
    current = page.locator("article[aria-current=true]")
    for text in ("Answer Ann", "Where is my order?", "look_up"):
        await page.keyboard.press("ArrowDown")
        await expect(current).to_contain_text(text)
    await page.keyboard.press("ArrowRight")
    await expect(current).to_contain_text('"order": 7')
    await page.keyboard.press("ArrowLeft")
    await expect(current).not_to_contain_text('"order": 7')
    await page.keyboard.press("e")
    await expect(current).to_contain_text("Is it complete?")
    await expect(current).to_contain_text("TimeoutError: no answer")
    await current.get_by_text("Stack trace").click()
    await expect(current).to_contain_text("at line 7")
    await page.keyboard.press("ArrowLeft")
    await expect(current).to_contain_text("Check the address")
    await page.keyboard.press("Space")
    await expect(page.get_by_role("article")).to_have_count(6)


async def test_no_calls(page: Page, server: LiveServer) -> None:
    """A run without model calls says so and links to the timeline."""
    await opened(page, server, [Span("only", "support:tool", {"tool_name": "look_up"})])
    await expect(page.get_by_text("This run has no model calls")).to_be_visible()
    await page.get_by_role("button", name="Show the timeline").click()
    await expect(page.get_by_role("treeitem")).to_have_count(1)


async def test_long(page: Page, server: LiveServer) -> None:
    """A long conversation is loaded while scrolling, and a key jumps to its end."""
    spans = [Span("root", "support:agent", {"goal": "Count"}, took=9_000)]
    history: list[dict[str, Any]] = []
    for turn in range(150):
        history.append(said("user", f"question {turn} " + "word " * 400))
        payload = {"model": "large-1", "messages": list(history[-20:])}
        result = {"content": f"answer {turn}"}
        spans.append(Span(f"t{turn}", "support:llm", payload, "root", turn * 50, result=result))
        history.append(said("assistant", f"answer {turn}"))
    asked: list[int] = []

    def note(request: Request) -> None:
        if "agent_spans?ids=" in request.url:
            asked.append(request.url.count("%2C") + request.url.count(",") + 1)

    page.on("request", note)
    run_id = await opened(page, server, spans)
    await expect(page.get_by_text("answer 0", exact=True)).to_be_visible()
    assert 0 < sum(asked) < 40
    await page.keyboard.press("End")
    await expect(page.get_by_text("answer 149", exact=True)).to_be_visible()
    assert sum(asked) < 80
    assert max(asked) <= 50
    last = page.get_by_role("article").last
    await expect(last).to_contain_text("question 149")
    await expect(last).not_to_contain_text("question 148")
    await expect(last.get_by_role("button", name="Show all")).to_be_visible()
    await page.goto(f"/#/run/{run_id}?view=transcript&span={run_id}.t75")
    await page.reload()
    await expect(page.locator("article[aria-current=true]")).to_contain_text("answer 75")
    await expect(page.get_by_text("answer 75", exact=True)).to_be_in_viewport()
