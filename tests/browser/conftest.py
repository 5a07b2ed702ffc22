"""A server with pages, a browser, and a signed-in person."""

from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from browser import Offences, chromium
from live_server import LiveServer, start_server
from patience import patience
from postgres_server import PostgresServer
from prefactor_server.http.pages import FOLDER

LIMIT = 30.0
"""How long a page may take for one step, in seconds: a page that lost its server waits as long."""

_numbers = count(1)


@pytest.fixture(scope="session")
def backend() -> str:
    """The database of the server. Tests of data that comes from it ask for both."""
    return "sqlite"


@pytest.fixture(scope="session")
def server(
    backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A server that the tests of a process share."""
    assert (FOLDER / "index.html").exists(), "The pages are not built: run `make pages`"
    database = None
    if backend == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        database = postgres.create_database(f"pages_{next(_numbers)}")
    started = start_server(tmp_path_factory.mktemp("pages"), database=database)
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def expectations() -> None:
    """Let expectations wait as long as the load of the machine needs now."""
    expect.set_options(timeout=patience(LIMIT) * 1000)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests of a process."""
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def watched(browser: Browser, server: LiveServer) -> AsyncIterator[tuple[Page, Offences]]:
    """A page that fails the test if it does something forbidden."""
    context = await browser.new_context(
        base_url=server.url,
        viewport={"width": 1440, "height": 900},
        reduced_motion="reduce",
        # Times are shown in the reader's zone.
        timezone_id="UTC",
    )
    context.set_default_timeout(patience(LIMIT) * 1000)
    page = await context.new_page()
    offences = Offences(page, server.url)
    # Expected responses for a person who is not signed in.
    offences.expected_statuses.add(401)
    yield page, offences
    # A request that a test answers may be under way.
    await page.unroute_all(behavior="ignoreErrors")
    await context.close()
    offences.assert_none()


@pytest.fixture
def stranger(watched: tuple[Page, Offences]) -> Page:
    """A page of a person who has not signed in."""
    return watched[0]


@pytest.fixture
def offences(watched: tuple[Page, Offences]) -> Offences:
    """Return the forbidden things that the page did."""
    return watched[1]


@pytest_asyncio.fixture(loop_scope="session")
async def page(stranger: Page, server: LiveServer) -> Page:
    """A page of a person who signed in with the account's token."""
    answer = await stranger.context.request.post(
        "/api/v1/session",
        data={"token": server.token},
        headers={"X-Prefactor-Request": "1", "Origin": server.url},
    )
    assert answer.ok, await answer.text()
    return stranger
