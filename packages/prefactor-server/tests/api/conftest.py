"""A separate server for each test: the API over each backend, behind a real socket.

The API's promises do not depend on the backend, so every test that asks for `api_client` runs on
every backend.
"""

from collections.abc import AsyncIterator

import pytest
from api_client import LIMITS, ApiClient, open_api_client

from prefactor_server.api import EventLimits, Limits
from prefactor_server.domain.runs.cost import NO_PRICES, PriceTable


@pytest.fixture
def limits() -> Limits:
    """The limits of the server; a test module may override them."""
    return LIMITS


@pytest.fixture
def prices() -> PriceTable:
    """The token prices; a test module may override them."""
    return NO_PRICES


@pytest.fixture
def event_limits() -> EventLimits:
    """The limits of event streams; a test module may override them."""
    return EventLimits()


@pytest.fixture
async def api_client(
    database_url: str, limits: Limits, prices: PriceTable, event_limits: EventLimits
) -> AsyncIterator[ApiClient]:
    """A client of a fresh server."""
    async with open_api_client(
        database_url, limits=limits, prices=prices, event_limits=event_limits
    ) as opened:
        yield opened
