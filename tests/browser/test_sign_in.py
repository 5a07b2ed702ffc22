"""Signing in to the pages and out again, as a person does it."""

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import Browser, Page, Route, expect

from live_server import PROGRAM, LiveServer
from pages_data import Span, record
from pages_people import sign_in_as

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_token(stranger: Page, server: LiveServer) -> None:
    """A token opens the requested page."""
    await stranger.goto("/#/runs?status=failed")
    await stranger.get_by_role("button", name="Token").click()
    await stranger.get_by_label("Token", exact=True).fill(server.token)
    await stranger.get_by_role("button", name="Sign in").click()
    await expect(stranger.get_by_role("heading", name="Runs")).to_be_visible()
    await expect(stranger.get_by_role("radio", name="failed")).to_be_checked()
    cookies = await stranger.context.cookies()
    assert [(one["httpOnly"], one["sameSite"]) for one in cookies] == [(True, "Strict")]


async def test_wrong_token(stranger: Page) -> None:
    """A wrong token is reported, and the typed text stays."""
    await stranger.goto("/")
    await stranger.get_by_role("button", name="Token").click()
    field = stranger.get_by_label("Token", exact=True)
    await field.fill("pf_account_wrong")
    await stranger.get_by_role("button", name="Sign in").click()
    await expect(stranger.get_by_role("alert")).to_be_visible()
    await expect(field).to_have_value("pf_account_wrong")


async def test_sign_out(page: Page) -> None:
    """After signing out the pages ask to sign in, also when they are loaded again."""
    await page.goto("/")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in to Prefactor")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", name="Sign in to Prefactor")).to_be_visible()


async def test_signed_in_already(page: Page) -> None:
    """The sign-in page redirects a signed-in person to the runs without a form."""
    await page.add_init_script(
        """new MutationObserver(() => {
            if (document.querySelector("[type=password]")) window.formSeen = true;
        }).observe(document, { childList: true, subtree: true });"""
    )
    await page.goto("/#/sign-in")
    await expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    await expect(page).to_have_url(re.compile("#/runs$"))
    assert not await page.evaluate("window.formSeen")


async def test_session_ends(page: Page) -> None:
    """A session that ended elsewhere leads to signing in, not to an error."""
    await page.goto("/#/runs")
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    await page.context.clear_cookies()
    # A page asks the server only if it has a reason.
    await page.goto("/#/agents")
    await expect(page.get_by_role("heading", name="Sign in to Prefactor")).to_be_visible()


async def sign_in_again(page: Page, server: LiveServer) -> None:
    """Sign in with the token in the dialog that an ended session opens."""
    again = page.get_by_role("dialog", name="Sign in again")
    await again.get_by_role("button", name="Token").click()
    await again.get_by_label("Token").fill(server.token)
    await again.get_by_role("button", name="Sign in", exact=True).click()
    await expect(again).to_have_count(0)


async def test_session_ends_in_a_form(page: Page, server: LiveServer) -> None:
    """What was typed when the session ended is there after signing in again, and is sent."""
    email = f"{uuid4().hex[:8]}@example.org"
    await page.goto("/#/account/people")
    await page.get_by_role("button", name="Invite…").click()
    form = page.get_by_role("dialog", name="Invite")
    await form.get_by_label("E-mail").fill(email)
    await page.context.clear_cookies()
    # Without the mouse, because what the page reads by itself may have opened the dialog.
    await form.get_by_role("button", name="Invite").dispatch_event("click")
    again = page.get_by_role("dialog", name="Sign in again")
    await expect(again).to_contain_text("What you typed is kept")
    await page.keyboard.press("Escape")
    await again.get_by_role("button", name="Token").click()
    await again.get_by_label("Token").fill("pf_account_wrong")
    await again.get_by_role("button", name="Sign in", exact=True).click()
    await expect(again.get_by_role("alert")).to_be_visible()
    await again.get_by_label("Token").fill(server.token)
    await again.get_by_role("button", name="Sign in", exact=True).click()
    await expect(again).to_have_count(0)
    await expect(form.get_by_label("E-mail")).to_have_value(email)
    await form.get_by_role("button", name="Invite").click()
    await expect(page.get_by_role("dialog", name=f"Send this link to {email}")).to_be_visible()


async def test_session_ends_in_an_edited_profile(page: Page, server: LiveServer) -> None:
    """An edited risk profile, which is a page and no dialog, is kept as well."""
    name = f"profile-{uuid4().hex[:8]}"
    await page.goto("/#/account/risk?profile=new")
    await page.get_by_role("textbox", name="Name").fill(name)
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Create profile").dispatch_event("click")
    await sign_in_again(page, server)
    await expect(page.get_by_role("textbox", name="Name")).to_have_value(name)
    await page.get_by_role("button", name="Create profile").click()
    await expect(page.get_by_text("All changes are saved.")).to_be_visible()


async def test_a_late_refusal(page: Page, server: LiveServer) -> None:
    """What the ended session is refused only after signing in again is asked again."""
    await record(server, [Span("root", "support:agent", {"goal": "x"})])
    await page.goto("/#/account/risk?profile=new")
    scores = page.get_by_role("region", name="What runs would score")
    await expect(scores.get_by_role("row").nth(1)).to_be_visible()
    await page.get_by_role("textbox", name="Name").fill("late")
    refused, signed_in = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        answer = await route.fetch()
        if answer.status == HTTPStatus.UNAUTHORIZED:
            refused.set()
            await signed_in.wait()
        await route.fulfill(response=answer)

    await page.route("**/api/v1/risk_profile/preview", late)
    await page.context.clear_cookies()
    await page.get_by_label("Weight of Minors data").fill("1")
    await refused.wait()
    await page.get_by_role("button", name="Create profile").dispatch_event("click")
    await sign_in_again(page, server)
    async with page.expect_response(lambda one: "preview" in one.url and one.ok):
        signed_in.set()
    await expect(page.get_by_role("dialog", name="Sign in again")).to_have_count(0)


async def test_another_person_gets_no_page(page: Page, server: LiveServer) -> None:
    """What was typed is discarded if somebody else signs in, or if it is given up."""
    typed = f"{uuid4().hex[:8]}@example.org"
    form = page.get_by_role("dialog", name="Invite")
    again = page.get_by_role("dialog", name="Sign in again")

    async def interrupted() -> None:
        await page.goto("/#/account/people")
        await page.get_by_role("button", name="Invite…").click()
        await form.get_by_label("E-mail").fill(typed)
        await page.context.clear_cookies()
        await form.get_by_role("button", name="Invite").dispatch_event("click")
        await expect(again).to_be_visible()

    await interrupted()
    await sign_in_as(page.context, server, "admin")
    # They signed in in another tab, from which they come back.
    await page.evaluate("dispatchEvent(new Event('focus'))")
    await expect(again).to_have_count(0)
    await expect(page.get_by_role("button", name="Invite…")).to_be_visible()
    await expect(form).to_have_count(0)

    await interrupted()
    await again.get_by_role("button", name="Discard").click()
    await expect(page.get_by_role("heading", name="Sign in to Prefactor")).to_be_visible()


async def test_lost_password(
    browser: Browser, serve: Callable[..., LiveServer], tmp_path: Path
) -> None:
    """A password link sets a new one and signs in; an invalid one says what to do."""
    # A separate server, because the shared one may not use SQLite.
    server = serve(tmp_path)
    stranger = await browser.new_page(base_url=server.url)
    email = await sign_in_as(stranger.context, server, "viewer")
    await stranger.context.clear_cookies()
    made = await asyncio.create_subprocess_exec(
        PROGRAM,
        *("admin", "link", email, "--url", server.url),
        *("--database", f"sqlite:///{server.directory / 'server.db'}"),
        stdout=asyncio.subprocess.PIPE,
    )
    link = (await made.communicate())[0].decode().strip()
    await stranger.goto(f"{link}x")
    await stranger.get_by_label("New password").fill("another one, and longer")
    await stranger.get_by_role("button", name="Set the password").click()
    await expect(stranger.get_by_role("alert")).to_contain_text("prefactor-server admin link")
    await stranger.goto(link)
    await stranger.get_by_label("New password").fill("another one, and longer")
    await stranger.get_by_role("button", name="Set the password").click()
    await expect(stranger.get_by_role("heading", name="Runs")).to_be_visible()
    await stranger.close()
