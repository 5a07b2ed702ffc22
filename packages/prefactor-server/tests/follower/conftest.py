"""A database on each backend with one account in it, open as a server has it open."""

from collections.abc import AsyncIterator

import pytest_asyncio
from backends import open_storage
from tally import create_account

from prefactor_server.databases import OpenStorage


@pytest_asyncio.fixture
async def storage(database_url: str) -> AsyncIterator[OpenStorage]:
    """The storage of one server."""
    opened = await open_storage(database_url)
    await create_account(opened)
    yield opened
    await opened.close()
