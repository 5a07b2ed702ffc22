"""Quality and risk of a run: its scores, their causes, and a person's score."""

from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from browser import Offences, on_both_backends
from live_server import LiveServer
from pages_data import Span, record, support_run
from pages_people import sign_in_as
from prefactor_http import HttpClientConfig, PrefactorHttpClient

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELPFUL = {
    "name": "helpful",
    "title": "Helpfulness",
    "description": "Whether the customer was helped.",
    "template": "{{ score }} of 5",
    "schema": {
        "type": "object",
        "required": ["score", "verdict"],
        "properties": {
            "score": {"type": "integer", "minimum": 1, "maximum": 5, "title": "Score"},
            "verdict": {"enum": ["good", "bad"], "title": "Verdict"},
            "polite": {"type": "boolean", "title": "Polite"},
            "weight": {"type": "number", "exclusiveMaximum": 1, "title": "Weight"},
            "note": {"type": "string", "maxLength": 20, "title": "Note"},
            "customer": {
                "type": "object",
                "title": "Customer",
                "properties": {"name": {"type": "string", "title": "Name"}},
            },
            "steps": {"type": "array", "items": {"type": "string"}, "title": "Steps"},
        },
    },
}


async def opened(page: Page, server: LiveServer, **more: Any) -> str:
    """Record a run whose agent declares quality schemas, and open its quality."""
    run_id = await record(server, support_run(), quality_schemas=[HELPFUL], **more)
    await page.goto(f"/#/run/{run_id}?view=quality")
    await expect(page.get_by_role("heading", name="Quality")).to_be_visible()
    return run_id


@on_both_backends
async def test_score(page: Page, server: LiveServer) -> None:
    """A person scores a run in a form made from the schema; errors are shown at their field."""
    run_id = await opened(page, server)
    await expect(page.get_by_text("not scored")).to_be_visible()
    await page.get_by_role("button", name="Score Helpfulness").click()
    form = page.get_by_role("form", name="Score: Helpfulness")
    await expect(form).to_contain_text("Whether the customer was helped.")
    await form.get_by_label("Score").fill("9")
    await form.get_by_label("Note").fill("far too long to be a note")
    await form.get_by_role("button", name="Record").click()
    for text in ("must be at most 5", "must be given", "must have at most 20 characters"):
        await expect(form.get_by_text(text)).to_be_visible()
    await expect(form.get_by_label("Note")).to_have_value("far too long to be a note")
    await form.get_by_label("Score").fill("4")
    await form.get_by_label("Note").fill("short")
    await form.get_by_label("Verdict").select_option("good")
    await form.get_by_label("Polite").select_option("yes")
    await form.get_by_label("Name").fill("Ann")
    for step in ("asked", "answered"):
        await form.get_by_role("button", name="Add to Steps").click()
        await expect(form.get_by_role("textbox", name="Steps").last).to_have_value("")
        await form.get_by_role("textbox", name="Steps").last.fill(step)
    await form.get_by_role("button", name="Remove Steps 1").click()
    await form.get_by_role("button", name="Record").click()
    await expect(page.get_by_text("4 of 5")).to_be_visible()
    await expect(form).to_have_count(0)
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        run = await client.agent_instances.get(run_id)
    assert run.raw["quality_payloads"]["helpful"] == {
        "score": 4,
        "verdict": "good",
        "polite": True,
        "note": "short",
        "customer": {"name": "Ann"},
        "steps": ["answered"],
    }
    await expect(page.get_by_role("banner").or_(page.get_by_role("main")).last).to_contain_text(
        "1 result"
    )


async def test_viewer(stranger: Page, server: LiveServer) -> None:
    """A viewer sees the scores of a run, but can neither score nor stop it."""
    await sign_in_as(stranger.context, server, "viewer")
    await opened(stranger, server, status=None)
    await expect(stranger.get_by_text("not scored")).to_be_visible()
    for offered in ("Score", "Comment", "Terminate"):
        await expect(stranger.get_by_role("button", name=offered)).to_have_count(0)
    await expect(stranger.get_by_role("textbox", name="Comment")).to_have_count(0)


async def test_ended_by(page: Page, server: LiveServer) -> None:
    """A run that the server ended says why, on its page and in the preview."""
    run_id = await record(server, support_run())

    async def idle(route: Route) -> None:
        # The setting's minimum is a minute, which is too long for a test.
        answer = await route.fetch()
        document = await answer.json()
        document["details"]["ended_by"] = "idle"
        await route.fulfill(response=answer, json=document)

    await page.route(f"**/api/v1/agent_instance/{run_id}*", idle)
    for address in (f"/#/run/{run_id}", f"/#/runs?peek={run_id}"):
        await page.goto(address)
        await expect(page.get_by_text("ended: idle")).to_be_visible()


async def test_score_refused(page: Page, server: LiveServer, offences: Offences) -> None:
    """A refusal is shown, and the typed text stays."""
    offences.expected_statuses.add(503)
    await opened(page, server)
    await page.get_by_role("button", name="Score Helpfulness").click()
    form = page.get_by_role("form", name="Score: Helpfulness")
    await form.get_by_label("Score").fill("3")
    await form.get_by_label("Verdict").select_option("bad")
    await page.route(
        "**/record_quality",
        lambda route: route.fulfill(status=503, json={"message": "The disk is full"}),
    )
    await form.get_by_role("button", name="Record").click()
    await expect(form.get_by_role("alert")).to_have_text("The disk is full")
    await page.unroute("**/record_quality")
    await form.get_by_role("button", name="Record").click()
    await expect(page.get_by_text("3 of 5")).to_be_visible()


async def test_comments(page: Page, server: LiveServer) -> None:
    """Comments can be written and removed, and keep their order."""
    await opened(page, server)
    for text in ("Ask the supplier", "Done, they agree"):
        await page.get_by_role("textbox", name="Comment").fill(text)
        await page.get_by_role("button", name="Comment").click()
        await expect(page.get_by_text(text, exact=True)).to_be_visible()
        await expect(page.get_by_role("textbox", name="Comment")).to_have_value("")
    await page.reload()
    comments = page.get_by_role("region", name="Comments")
    await expect(comments.get_by_role("button", name="Remove")).to_have_count(2)
    said = await comments.inner_text()
    assert said.index("Ask the supplier") < said.index("Done, they agree")
    await comments.get_by_role("button", name="Remove").first.click()
    await expect(comments).not_to_contain_text("Ask the supplier")
    await expect(comments).to_contain_text("Done, they agree")


@on_both_backends
async def test_alerts(page: Page, server: LiveServer) -> None:
    """Alerts of the run are shown and cleared, and the view counts the rest."""
    run_id = await record(server, support_run(), status="failed")
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        await client.alerts.raise_(run_id, "budget.low", {"left": 12}, severity="critical")
    await page.goto(f"/#/run/{run_id}?view=quality")
    alerts = page.get_by_role("region", name="Alerts")
    await expect(alerts).to_contain_text("budget.low")
    await alerts.get_by_text("Payload", exact=True).click()
    await expect(alerts).to_contain_text('"left": 12')
    await alerts.locator(".critical").get_by_role("button", name="Clear").click()
    await expect(alerts.locator(".cleared")).to_contain_text("budget.low")


async def test_risk(page: Page, server: LiveServer) -> None:
    """The score of a run is shown factor by factor."""
    headers = {"X-Prefactor-Request": "1", "Origin": server.url}
    made = await page.context.request.post(
        "/api/v1/risk_profile",
        data={
            "details": {
                "name": "Strict",
                "category_weights": {"personal_identifiers": 8},
                "action_multipliers": {"destroy_data": 3},
                "agreed_risk": "low",
            }
        },
        headers=headers,
    )
    profile = (await made.json())["details"]["id"]
    agent = await page.context.request.post(
        "/api/v1/agent",
        data={"details": {"name": "Risky", "risk_profile_id": profile}},
        headers=headers,
    )
    agent_id = (await agent.json())["details"]["id"]
    risk = {
        "action_profile": {"destroy_data": "allowed"},
        "params_data_categories": {"personal_identifiers": "included"},
    }
    run_id = await record(
        server,
        [Span(f"s{number}", "risky:tool", {}) for number in range(2)],
        agent=agent_id,
        types=[{"name": "risky:tool", "params_schema": {}, "data_risk": risk}],
    )
    await page.goto(f"/#/run/{run_id}")
    await page.get_by_role("main").get_by_role("button", name="medium").click()
    table = page.get_by_role("region", name="Risk")
    for text in (
        "48",
        "Strict",
        "more than the agreed risk, which is low",
        "personal identifiers 8",
        "× 3",
    ):
        await expect(table).to_contain_text(text)


async def test_undeclared(page: Page, server: LiveServer) -> None:
    """Without declared schemas nothing can be scored, and the view says so."""
    run_id = await record(server, support_run())
    await page.goto(f"/#/run/{run_id}?view=quality")
    await expect(page.get_by_text("declares no quality schemas")).to_be_visible()
    await expect(page.get_by_text("has no risk profile")).to_be_visible()
    await expect(page.get_by_role("button", name="Score")).to_have_count(0)
