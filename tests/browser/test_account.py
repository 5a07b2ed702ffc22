"""The pages of the account, as an admin, a member and a viewer use them."""

from uuid import uuid4

import pytest
from playwright.async_api import Browser, Page, expect

from browser import Offences, on_both_backends
from live_server import LiveServer
from pages_people import PASSWORD, invitation, sign_in_as

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def works(page: Page, token: str) -> bool:
    """Whether a request with a token is answered."""
    answer = await page.context.request.get(
        "/api/v1/ping", headers={"Authorization": f"Bearer {token}"}
    )
    return answer.ok


async def test_lines_to_paste_on_a_phone(page: Page) -> None:
    """All of the lines to paste can be read on a phone, and none is cut."""
    await page.set_viewport_size({"width": 390, "height": 780})
    await page.goto("/#/account/webhooks")
    box = page.get_by_label("In the shell that starts the server")
    await expect(box).to_be_visible()
    hidden = await box.evaluate("box => box.scrollHeight - box.clientHeight")
    assert hidden == 0


@on_both_backends
async def test_invite(page: Page, server: LiveServer, browser: Browser) -> None:
    """An invited person chooses a password and is signed in; then their role changes."""
    email = f"invited-{uuid4().hex[:8]}@example.org"
    await page.goto("/#/account/people")
    await expect(page.get_by_text("The setting openid_issuer of the server")).to_be_visible()
    await page.get_by_role("button", name="Invite…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("E-mail").fill(email)
    await dialog.get_by_role("radio", name="member").check()
    await dialog.get_by_role("button", name="Invite").click()
    link = await page.get_by_role("dialog").get_by_label("Link").input_value()
    await page.get_by_role("button", name="Done").click()
    await expect(page.get_by_role("listitem").filter(has_text=email)).to_contain_text("member")

    theirs = await browser.new_page(base_url=server.url)
    offences = Offences(theirs, server.url)
    offences.expected_statuses |= {401, 422}
    await theirs.goto(link)
    await expect(theirs.get_by_label("E-mail")).to_have_value(email)
    await expect(theirs.get_by_text("as member")).to_be_visible()
    field = theirs.get_by_label("Password", exact=True)
    await field.fill("passwordpassword")
    await theirs.get_by_role("button", name="Accept and sign in").click()
    await expect(theirs.get_by_role("alert")).to_contain_text("12 to 200 characters")
    await expect(field).to_have_value("passwordpassword")
    await field.fill(PASSWORD)
    await theirs.get_by_role("button", name="Accept and sign in").click()
    await expect(theirs.get_by_text(email)).to_be_visible()
    await theirs.goto(link)
    await expect(theirs.get_by_role("alert")).to_contain_text("accepted already")
    await theirs.close()
    offences.assert_none()

    await page.reload()
    await page.get_by_role("button", name=f"Change role of {email}").click()
    await page.get_by_role("radio", name="viewer").check()
    await page.get_by_role("button", name="Change role", exact=True).click()
    row = page.get_by_role("listitem").filter(has_text=email)
    await expect(row).to_contain_text("viewer")
    await page.get_by_role("button", name=f"Remove {email}").click()
    await expect(page.get_by_role("dialog")).to_contain_text("signed out everywhere")
    await page.get_by_role("button", name="Remove", exact=True).click()
    await expect(row).to_have_count(0)


async def test_tokens(page: Page, offences: Offences) -> None:
    """A token is shown once and works, until it is suspended, and again until it is revoked."""
    offences.expected_statuses.add(404)
    await page.goto("/#/account/tokens")
    await page.get_by_role("button", name="New token…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("radio", name="Record one agent").check()
    await dialog.get_by_role("combobox", name="Agent").fill("no-such-agent")
    await dialog.get_by_role("button", name="Create").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("no-such-agent")
    await expect(dialog.get_by_role("combobox", name="Agent")).to_have_value("no-such-agent")
    await dialog.get_by_role("radio", name="Everything").check()
    await dialog.get_by_role("combobox", name="Expires").select_option("in 30 days")
    await dialog.get_by_role("button", name="Create").click()
    token = await dialog.get_by_label("Token", exact=True).input_value()
    exports = await dialog.get_by_label("For the shell").input_value()
    assert exports.endswith(f"\nexport PREFACTOR_API_TOKEN={token}")
    assert await works(page, token)
    await dialog.get_by_role("button", name="Done").click()
    await expect(page.get_by_text(token)).to_have_count(0)

    row = page.get_by_role("listitem").first
    await expect(row).to_contain_text("expires")
    await row.get_by_role("button", name="Suspend").click()
    await expect(row).to_contain_text("suspended")
    assert not await works(page, token)
    await row.get_by_role("button", name="Activate").click()
    await expect(row).to_contain_text("active")
    assert await works(page, token)
    await row.get_by_role("button", name="Revoke").click()
    await expect(page.get_by_role("dialog")).to_contain_text("stops working for good")
    await page.get_by_role("button", name="Revoke", exact=True).click()
    await expect(row).to_contain_text("revoked")
    assert not await works(page, token)
    await row.get_by_role("button", name="Delete").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.get_by_text(token[:16])).to_have_count(0)


async def test_environments(page: Page) -> None:
    """An environment is created, renamed and deleted; the default one cannot be deleted."""
    name = f"<b>Staging</b> {uuid4().hex[:8]}"
    await page.goto("/#/account/environments")
    await expect(page.get_by_role("button", name="Delete Default")).to_have_count(0)
    await page.get_by_role("button", name="New environment…").click()
    await page.get_by_role("textbox", name="Name").fill(name)
    await page.get_by_role("button", name="Create").click()
    row = page.get_by_role("listitem").filter(has_text=name)
    await row.get_by_role("button", name="Rename").click()
    await expect(page.get_by_role("textbox", name="Name")).to_have_value(name)
    await page.get_by_role("textbox", name="Name").fill(f"{name} 2")
    await page.get_by_role("button", name="Rename", exact=True).click()
    await row.get_by_role("button", name=f"Delete {name} 2").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(row).to_have_count(0)


async def test_section_on_a_phone(page: Page) -> None:
    """On a phone, the link of the open section is in view, even if it is the last."""
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto("/#/account/server")
    link = page.get_by_role("navigation", name="Account").get_by_role("link", name="Server health")
    await expect(link).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("role", ["viewer", "member"])
async def test_roles(stranger: Page, server: LiveServer, role: str) -> None:
    """Only an admin sees administration, tokens and links."""
    email = await sign_in_as(stranger.context, server, role)
    await stranger.goto("/#/account/tokens")
    await expect(stranger.get_by_role("heading", name="You")).to_be_visible()
    await expect(stranger.get_by_role("main")).to_contain_text(email)
    sections = stranger.get_by_role("navigation", name="Account").get_by_role("link")
    await expect(sections.first).to_be_visible()
    names = await sections.all_inner_texts()
    assert not {"Tokens", "Audit log", "Server health"} & set(names)
    for name in names:
        await sections.get_by_text(name, exact=True).click()
        await expect(stranger.get_by_role("heading", level=1)).to_have_text(name)
        for offered in ("New", "Invite", "Rename", "Delete", "Remove", "Change role"):
            await expect(stranger.get_by_role("button", name=offered)).to_have_count(0)
    await sections.get_by_text("People", exact=True).click()
    await expect(stranger.get_by_role("main")).to_contain_text("Only admins invite, change")


async def test_sessions(stranger: Page, server: LiveServer, browser: Browser) -> None:
    """A person's sessions are listed; one is revoked, and a new password ends the rest."""
    email = await sign_in_as(stranger.context, server, "viewer")
    elsewhere = await browser.new_page(base_url=server.url)
    await elsewhere.goto("/")
    await elsewhere.get_by_label("E-mail").fill(email)
    await elsewhere.get_by_label("Password", exact=True).fill(PASSWORD)
    await elsewhere.get_by_role("button", name="Sign in").click()
    await expect(elsewhere.get_by_text(email)).to_be_visible()
    await stranger.goto("/#/account/sessions")
    rows = stranger.get_by_role("listitem")
    await expect(rows).to_have_count(2)
    await rows.filter(has_not_text="this session").get_by_role("button").click()
    await stranger.get_by_role("button", name="Revoke", exact=True).click()
    await expect(rows).to_have_count(1)
    await elsewhere.reload()
    await expect(elsewhere.get_by_role("heading", name="Sign in")).to_be_visible()
    await elsewhere.close()


async def test_password(stranger: Page, server: LiveServer, offences: Offences) -> None:
    """Changing a password needs the current one; if that is wrong, the typed text stays."""
    offences.expected_statuses.add(401)
    await sign_in_as(stranger.context, server, "viewer")
    await stranger.goto("/#/account/you")
    current = stranger.get_by_label("Current password")
    await current.fill("not the password")
    await stranger.get_by_label("New password").fill("another one, and longer")
    await stranger.get_by_role("button", name="Change password").click()
    await expect(stranger.get_by_role("alert")).to_contain_text("match")
    await expect(current).to_have_value("not the password")
    await current.fill(PASSWORD)
    await stranger.get_by_role("button", name="Change password").click()
    await expect(stranger.get_by_text("The password is changed.")).to_be_visible()


async def test_useless_invitation(stranger: Page, server: LiveServer, offences: Offences) -> None:
    """A mistyped and a revoked invitation give a message that says what to do."""
    offences.expected_statuses.add(404)
    _, token = await invitation(stranger.context.request, server, "viewer")
    await stranger.goto(f"/#/invite?token={token[:-3]}")
    await expect(stranger.get_by_role("alert")).to_contain_text("copied as a whole")
    listed = await stranger.context.request.get(
        "/api/v1/admin_user_invite?sorting=-inserted_at",
        headers={"Authorization": f"Bearer {server.token}"},
    )
    newest = (await listed.json())["summaries"][0]["id"]
    await stranger.context.request.post(
        f"/api/v1/admin_user_invite/{newest}/revoke",
        headers={"Authorization": f"Bearer {server.token}"},
    )
    await stranger.goto(f"/#/invite?token={token}")
    await expect(stranger.get_by_role("alert")).to_contain_text("was revoked")
