"""The webhooks page, which is for admins."""

from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from browser import Offences
from event_receiver import NETWORKS, SECRET_KEY, EventReceiver, receiving_events
from live_server import LiveServer, start_server
from pages_data import Span, record
from pages_people import sign_in_as
from prefactor_http import HttpClientConfig, PrefactorHttpClient

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAME = "<b>Pager</b> of the team"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with a secret key that may send to loopback addresses."""
    started = start_server(
        tmp_path_factory.mktemp("webhooks"),
        *NETWORKS,
        variables=SECRET_KEY,
    )
    yield started
    started.stop()


@pytest.fixture
def receiver() -> Iterator[EventReceiver]:
    """A receiver until the end of the test."""
    with receiving_events() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def no_webhooks(server: LiveServer) -> None:
    """Begin each test without webhooks."""
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        async for webhook in client.webhooks.iterate():
            await client.webhooks.delete(webhook.id)


async def make(page: Page, url: str) -> None:
    """Create a webhook for ended and failed runs, and open its page."""
    await page.goto("/#/account/webhooks")
    await page.get_by_role("button", name="New webhook…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("URL").fill(url)
    await dialog.get_by_label("Description").fill(NAME)
    await dialog.get_by_role("checkbox", name="run.finished").check()
    await dialog.get_by_role("button", name="Create").click()
    assert (await dialog.get_by_label("Secret", exact=True).input_value()).startswith("whsec_")
    await dialog.get_by_role("button", name="Done").click()
    await expect(page.get_by_role("heading", name=NAME)).to_be_visible()


async def test_webhook(
    page: Page, offences: Offences, server: LiveServer, receiver: EventReceiver
) -> None:
    """A webhook is created, tested, changed and deleted, and its deliveries can be resent."""
    offences.expected_statuses |= {409, 422}
    await page.goto("/#/account/webhooks")
    await page.get_by_role("button", name="New webhook…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("URL").fill("https://10.0.0.1/in")
    await dialog.get_by_label("Only these agents").fill("nobody")
    await dialog.get_by_label("Only these agents").press("Enter")
    await dialog.get_by_role("button", name="Create").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("private or reserved")
    await expect(dialog.get_by_label("URL")).to_have_value("https://10.0.0.1/in")
    await dialog.get_by_role("button", name="Remove nobody").click()
    await dialog.get_by_role("button", name="Cancel").click()

    await make(page, receiver.url)
    await page.get_by_role("button", name="Send test").click()
    await expect(page.get_by_text("The test was delivered.")).to_be_visible()
    run = await record(server, [Span("root", "step", {"n": 1})], agent="told")
    told = page.get_by_role("listitem").filter(has_text=run)
    await page.get_by_role("button", name="Refresh").click()
    while not await told.count():
        await page.get_by_role("button", name="Refresh").click()
        await page.wait_for_timeout(200)
    await expect(told).to_contain_text("delivered")
    await told.get_by_role("button", name="run.finished", exact=True).click()
    await expect(told.get_by_label("What was sent")).to_contain_text(f'"id": "{run}"')
    await page.reload()
    await expect(told.get_by_label("What was sent")).to_be_visible()
    await told.get_by_role("button", name="Send again").click()
    await expect(told).to_contain_text("2 attempts")
    kinds = [one.type for one in receiver.events]
    assert kinds == ["webhook.test", "run.finished", "run.finished"]

    await page.get_by_role("button", name="Rotate secret…").click()
    await page.get_by_role("button", name="Rotate", exact=True).click()
    await expect(page.get_by_role("dialog")).to_contain_text("both secrets for 24 hours")
    await page.get_by_role("button", name="Done").click()
    await expect(page.get_by_text("the one before signs as well until")).to_be_visible()
    await page.get_by_role("button", name="Edit…").click()
    await page.get_by_role("checkbox", name="run.finished").uncheck()
    await page.get_by_role("checkbox", name="eval", exact=True).check()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("definition").filter(has_text="eval")).to_be_visible()
    await page.get_by_role("button", name="Disable…").click()
    await page.get_by_role("button", name="Disable", exact=True).click()
    await expect(told.get_by_role("button", name="Send again")).to_be_disabled()
    await page.get_by_role("button", name="Enable").click()
    await expect(page.get_by_text("Its events are sent as they happen.")).to_be_visible()
    await page.get_by_role("button", name="Delete…").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.get_by_text("There are no webhooks.")).to_be_visible()


async def test_changes_of_others(
    page: Page, offences: Offences, server: LiveServer, receiver: EventReceiver
) -> None:
    """A webhook that another admin changes meanwhile is kept, and shown once the form is closed."""
    offences.expected_statuses.add(409)
    await make(page, receiver.url)
    webhook = parse_qs(page.url.partition("?")[2])["webhook"][0]
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        await page.get_by_role("button", name="Edit…").click()
        await page.get_by_label("Description").fill("Mine")
        await client.webhooks.update(webhook, {"description": "Pager of others"})
        await page.get_by_role("button", name="Save").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("alert")).to_contain_text("Somebody else has changed")
        await expect(page.get_by_label("Description")).to_have_value("Mine")
        await dialog.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_role("heading", name="Pager of others")).to_be_visible()


async def test_failing(page: Page, receiver: EventReceiver) -> None:
    """A failed test is shown with the receiver's answer, and the list can be filtered."""
    receiver.status = 503
    await make(page, receiver.url)
    await page.get_by_role("button", name="Send test").click()
    await expect(page.get_by_text("The test failed.")).to_be_visible()
    row = page.get_by_role("listitem").filter(has_text="webhook.test")
    await expect(row).to_contain_text("The receiver answered 503")
    await page.get_by_label("Status of deliveries").select_option("delivered")
    await expect(page.get_by_text("No delivery fits these filters.")).to_be_visible()
    await page.reload()
    await expect(page.get_by_label("Status of deliveries")).to_have_value("delivered")


async def test_only_admins_see_webhooks(
    stranger: Page, server: LiveServer, tmp_path_factory: pytest.TempPathFactory, browser: Browser
) -> None:
    """A viewer has no webhooks page, and a server without a key says how to set one."""
    await sign_in_as(stranger.context, server, "viewer")
    await stranger.goto("/#/account/webhooks")
    await expect(stranger.get_by_role("heading", name="You", exact=True)).to_be_visible()
    await expect(stranger.get_by_role("link", name="Webhooks")).to_have_count(0)

    keyless = start_server(tmp_path_factory.mktemp("keyless"))
    page = await browser.new_page(base_url=keyless.url)
    try:
        answer = await page.context.request.post(
            "/api/v1/session",
            data={"token": keyless.token},
            headers={"X-Prefactor-Request": "1", "Origin": keyless.url},
        )
        assert answer.ok
        await page.goto("/#/account/webhooks")
        lines = page.get_by_label("In the shell that starts the server")
        assert "PREFACTOR_SECRET_KEY" in await lines.input_value()
        await expect(page.get_by_role("button", name="New webhook…")).to_have_count(0)
    finally:
        await page.close()
        keyless.stop()
