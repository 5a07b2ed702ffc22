"""Agents' data is shown as text, pages fit their users, and nothing leaves the server."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from charted_agent import RANGE, counted
from live_server import LiveServer
from pages_data import Span, record, support_run, waiting_run
from pages_people import invitation
from patience import eventually
from prefactor_http import HttpClientConfig, PrefactorHttpClient

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SECTIONS = (
    *("environments", "tokens", "people", "sessions"),
    *("risk", "audit", "server", "webhooks", "retention"),
)
LOOKS = tuple((theme, width) for theme in ("light", "dark") for width in (1440, 768, 360))
# Themes differ in colours and in nothing else.
OPTIONS = {
    "light": {"resultTypes": ["violations"]},
    "dark": {"resultTypes": ["violations"], "runOnly": ["color-contrast", "link-in-text-block"]},
}
HOSTILE = (
    "<img src=x onerror=alert(1)><script>alert(2)</script>"
    "<iframe srcdoc='<script>alert(3)</script>'></iframe>"
    "<svg/onload=alert(4)><a href='javascript:alert(5)'>x</a>"
    "\u202e\u2066{{constructor.constructor('alert(6)')()}}${alert(7)}'\"</style></pre>"
)


async def test_hostile_text(page: Page, server: LiveServer) -> None:
    """Markup, scripts and direction marks in every string that an agent sends are shown as text."""
    schema = {
        "name": HOSTILE,
        "title": HOSTILE,
        "description": HOSTILE,
        "params_schema": {"type": "object", "properties": {"a": {"const": HOSTILE}}},
        "template": "{{ a }} {{ b }}",
    }
    payload = {"a": HOSTILE + "x", "b": HOSTILE, HOSTILE: [HOSTILE], "tool": HOSTILE}
    said = {
        "messages": [{"role": HOSTILE, "content": HOSTILE}, {"role": "user", "content": HOSTILE}]
    }
    failure = {"error": {"type": HOSTILE, "message": HOSTILE, "stacktrace": HOSTILE}}
    called = {"tool_calls": [{"id": HOSTILE, "name": HOSTILE, "arguments": {HOSTILE: HOSTILE}}]}
    spans = [
        Span("root", HOSTILE[:256], payload, status="failed", result={HOSTILE: HOSTILE}),
        Span("call", "agent:llm", {"model": HOSTILE[:200], **said}, result=called | failure),
    ]
    run_id = await record(
        server,
        spans,
        agent=HOSTILE[:250],
        types=[{**schema, "name": HOSTILE[:256]}],
        quality_schemas=[
            {
                "name": HOSTILE[:200],
                "title": HOSTILE,
                "description": HOSTILE,
                "schema": {
                    "type": "object",
                    "properties": {HOSTILE: {"title": HOSTILE, "enum": [HOSTILE]}},
                },
                "template": "{{ a }}",
            }
        ],
        metadata={HOSTILE[:60]: HOSTILE[:250]},
        external_identifier=HOSTILE[:200] + os.urandom(4).hex(),
    )
    await page.goto("/#/runs")
    await expect(page.get_by_text("<img src=x").first).to_be_visible()
    await page.goto(f"/#/run/{run_id}?span={run_id}.root")
    await expect(page.get_by_role("complementary")).to_contain_text("<script>alert(2)</script>")
    await page.goto("/#/agents")
    await page.get_by_role("link").filter(has_text="<img src=x").click()
    types = page.get_by_role("region", name="Span types").first
    await types.get_by_role("button", name="<img src=x").click()
    await expect(types.get_by_role("region").first).to_contain_text("<script>alert(2)</script>")
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        await client.alerts.raise_(run_id, HOSTILE[:200], {"a": HOSTILE})
        for name in (HOSTILE[:200], HOSTILE[:100], f"comment:{HOSTILE[:100]}"):
            await client.agent_instances.record_quality(
                run_id, name, {"a": HOSTILE, "text": HOSTILE, "by": HOSTILE}
            )
    await page.goto(f"/#/run/{run_id}?view=transcript")
    await expect(page.get_by_role("feed")).to_contain_text("<script>alert(2)</script>")
    await page.goto(f"/#/run/{run_id}?view=quality")
    await page.reload()
    for name in ("Quality", "Alerts", "Comments"):
        region = page.get_by_role("region", name=name, exact=True)
        await expect(region).to_contain_text("<script>alert(2)</script>")
    await page.get_by_role("button", name="Score <img").first.click()
    await expect(page.get_by_role("form").first).to_contain_text("<script>alert(2)</script>")
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        profile = await client.risk_profiles.create(name=HOSTILE[:250], description=HOSTILE)
    for address in ("risk", f"risk?profile={profile.id}", f"audit?resource={profile.id}"):
        await page.goto(f"/#/account/{address}")
        text = page.get_by_text("<script>alert(2)</script>").or_(page.get_by_role("row"))
        await expect(text.first).to_be_visible()
    scripts = await page.locator("script").count()
    frames = await page.locator("iframe, img[src='x'], a[href^='javascript']").count()
    assert (scripts, frames) == (1, 0)


# What scrolls both ways, and is wider than its place.
TOO_WIDE = """
() => [...document.querySelectorAll("html, main, main *")]
  .filter((one) => one.scrollWidth > one.clientWidth + 1)
  .filter((one) => one.tagName === "HTML" || getComputedStyle(one).overflowY === "auto")
  .filter((one) => one.clientHeight > 200 && one.tabIndex < 0)
  .map((one) => `${one.tagName} ${one.className} ${one.scrollWidth} > ${one.clientWidth}`)
"""


async def test_long_names(page: Page, server: LiveServer) -> None:
    """Names of 200 characters without a space make no page wider than the screen."""
    name = f"{'LongName' * 24}{os.urandom(4).hex()}"
    headers = {"Authorization": f"Bearer {server.token}"}
    made = await page.context.request.post(
        f"{server.url}/api/v1/environment", data={"details": {"name": name}}, headers=headers
    )
    environment = (await made.json())["details"]["id"]
    spans = [Span("root", "agent:tool", {"tool": name, "query": name}, took=None)]
    run_id = await record(
        server,
        spans,
        status=None,
        agent=name,
        environment_id=environment,
        metadata={f"{name[:60]}{number}": name for number in range(16)},
    )
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        profile = await client.risk_profiles.create(name=name, description=name)
        await client.agents.update(name, {"risk_profile_id": profile.id})
        await client.agent_instances.terminate(run_id, reason=name)
    for address, ready in (
        (f"/#/runs?peek={run_id}", "treeitem"),
        (f"/#/run/{run_id}?span={run_id}.root", "complementary"),
        (f"/#/run/{run_id}?view=quality", "textbox"),
        ("/#/agents", "img"),
        (f"/#/agent/{name}", "img"),
        (f"/#/account/risk?profile={profile.id}", "table"),
    ):
        await page.goto("about:blank")
        await page.goto(address)
        for width in (1440, 768, 360):
            await page.set_viewport_size({"width": width, "height": 800})
            await expect(page.get_by_role(ready).first).to_be_visible()
            # A chart is drawn again after the frame that resizes it.
            await eventually(lambda: page.evaluate(TOO_WIDE), lambda found: found == [])
    # No name of a figure runs into the next one.
    await page.goto(f"/#/runs?peek={run_id}")
    await expect(page.get_by_role("treeitem")).to_be_visible()
    widths = await page.locator("aside dt").evaluate_all("all => all.map((one) => one.offsetWidth)")
    assert max(widths) <= 160


async def test_large_payload(page: Page, server: LiveServer) -> None:
    """A payload of a megabyte is shown without drawing all of it."""
    payload: dict[str, Any] = {"lines": [f"line {number}" for number in range(50_000)]}
    payload["long"] = "x" * 200_000
    run_id = await record(server, [Span("root", "agent:tool", payload)])
    await page.goto(f"/#/run/{run_id}?span={run_id}.root")
    panel = page.get_by_role("complementary")
    await expect(panel).to_contain_text('"line 3"')
    assert len(await panel.inner_text()) < 20_000


OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def test_accessible(page: Page, server: LiveServer) -> None:
    """Axe finds nothing on the main pages in each theme and width, and none overflows."""
    run_id = await record(server, support_run(), status="failed")
    other_id = await record(server, support_run()[:3])
    cut_id = await record(server, waiting_run())
    await counted(page, f"/#/agents?{RANGE}", "support-bot")
    for address, ready in (
        ("/#/runs", "listitem"),
        (f"/#/runs?status=failed&peek={run_id}", "tree"),
        (f"/#/run/{run_id}?span={run_id}.search", "complementary"),
        (f"/#/run/{run_id}?span={run_id}.search&view=transcript", "article"),
        (f"/#/run/{run_id}?view=quality", "textbox"),
        (f"/#/run/{cut_id}", "tree"),
        (f"/#/agents?{RANGE}", "img"),
        (f"/#/agent/support-bot?{RANGE}", "img"),
        (f"/#/compare/{other_id}/{run_id}?span={run_id}.reply", "complementary"),
    ):
        await assert_accessible(page, address, ready)


async def test_accessible_account(page: Page, server: LiveServer) -> None:
    """Axe finds nothing on the account and sign-in pages, in each theme and width."""
    _, token = await invitation(page.context.request, server, "viewer")
    for address, ready in (
        (f"/#/invite?token={token}", "textbox"),
        ("/#/set-password?code=a-code", "textbox"),
        *((f"/#/account/{section}", "listitem") for section in SECTIONS[:4]),
        # These lists may be empty.
        *((f"/#/account/{section}", "heading") for section in SECTIONS[4:]),
        ("/#/account/you", "definition"),
        ("/#/account/prices", "heading"),
        ("/#/account/risk?profile=new", "textbox"),
        ("/#/sign-in", "textbox"),
    ):
        if address == "/#/sign-in":
            # The page redirects a signed-in person.
            await page.context.clear_cookies()
        await assert_accessible(page, address, ready)


async def assert_accessible(page: Page, address: str, ready: Any) -> None:
    """Open a page once, and check it with axe in each theme and width."""
    assert AXE.exists(), "The tools of the pages are not installed: run `scripts/pages dev`"
    # The page before must not be taken for this one.
    await page.goto("about:blank")
    await page.goto(address)
    for theme, width in LOOKS:
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
        await page.set_viewport_size({"width": width, "height": 800})
        await expect(page.locator("html")).to_have_attribute("data-theme", theme)
        await expect(page.get_by_role(ready).first).to_be_visible()
        # The debugger evaluates this in the page, and the content security policy does not apply to
        # it.
        if not await page.evaluate("'axe' in window"):
            await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate(
            "options => axe.run(options).then(({violations}) => violations)", OPTIONS[theme]
        )
        problems = [
            (
                address,
                theme,
                width,
                one["id"],
                [(node["target"], node["failureSummary"]) for node in one["nodes"][:3]],
            )
            for one in found
        ]
        assert not problems
        await eventually(lambda: page.evaluate(OVERFLOW), lambda pixels: pixels <= 0)
