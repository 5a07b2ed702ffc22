"""Signing in without typing a token: with an organization's provider, and with a link."""

import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from browser import Offences
from checkout import ROOT
from live_server import LiveServer
from pages_people import sign_in_as
from prefactor_server.cli.start_link import make_start_link
from prefactor_server.commands.writer import Writer
from prefactor_server.databases import open_alongside
from prefactor_server.settings import load_settings

sys.path.append(str(ROOT / "packages" / "prefactor-server" / "tests" / "support"))

from openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider, running_provider

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def provider() -> AsyncIterator[OpenIdProvider]:
    """A provider that signs in anyone without asking."""
    async with running_provider(lambda: time.time_ns() // 1000) as running:
        yield running


def served_with(
    serve: Callable[..., LiveServer], port: int, folder: Path, provider: OpenIdProvider
) -> LiveServer:
    """A server that knows the provider."""
    secret = folder / "secret"
    secret.write_text(CLIENT_SECRET, encoding="utf-8")
    return serve(
        folder,
        *("--public-url", f"http://127.0.0.1:{port}"),
        *("--openid-issuer", provider.issuer),
        *("--openid-client-id", CLIENT_ID),
        *("--openid-client-secret-file", str(secret)),
        *("--openid-name", "Example"),
        *("--openid-roles", "@example.org=viewer"),
        port=port,
    )


async def test_provider(
    browser: Browser,
    serve: Callable[..., LiveServer],
    port: int,
    tmp_path: Path,
    provider: OpenIdProvider,
) -> None:
    """A button leads to the provider and back, signed in, to the requested page.

    A person with a password connects the provider in the account, and then signs in with it.
    """
    server = served_with(serve, port, tmp_path, provider)
    page = await browser.new_page(base_url=server.url)
    await page.goto("/#/account/you")
    await page.get_by_role("button", name="Continue with Example").click()
    await expect(page.get_by_role("main")).to_contain_text(provider.email)
    await expect(page.get_by_role("main")).to_contain_text("The provider of your organization")
    await expect(page).to_have_url(re.compile("#/account/you$"))
    await page.goto("/#/account/people")
    await expect(page.get_by_text("or with Example by OpenID Connect")).to_be_visible()
    await page.goto("/#/account/you")

    await page.context.clear_cookies()
    provider.subject, provider.email = "subject-2", await sign_in_as(page.context, server, "viewer")
    await page.reload()
    await page.get_by_role("button", name="Connect Example").click()
    await expect(page.get_by_role("main")).to_contain_text(provider.email)
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("button", name="Continue with Example").click()
    await expect(page.get_by_role("main")).to_contain_text("The provider of your organization")
    await expect(page.get_by_role("main")).to_contain_text(provider.email)
    await page.close()


async def test_start_link(
    browser: Browser, serve: Callable[..., LiveServer], tmp_path: Path
) -> None:
    """The link that a server prints signs in, and its code is left nowhere."""
    server = serve(tmp_path)
    database = f"sqlite:///{tmp_path / 'server.db'}"
    storage = await open_alongside(load_settings({}, {"database": database}))
    writer = Writer(storage, max_queue_bytes=1)
    link = await make_start_link(storage, writer, server.url, server.token, time.time_ns() // 1000)
    await writer.close()
    await storage.close()
    assert link is not None
    page = await browser.new_page(base_url=server.url)
    offences = Offences(page, server.url)
    offences.expected_statuses.add(401)

    await page.goto(link)
    await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    await expect(page).not_to_have_url(re.compile("pf_link"))
    await page.context.clear_cookies()
    await page.goto("about:blank")
    await page.goto(link)
    await expect(page.get_by_role("alert")).to_contain_text("was used")
    await page.close()
    offences.assert_none()
