"""A database on each backend with one account in it, open as a server has it open."""

from collections.abc import AsyncIterator

import pytest_asyncio
from backends import open_storage
from rows import ACCOUNT, ENVIRONMENT, NOW

from prefactor_server.databases import OpenStorage
from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import new_token
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment


@pytest_asyncio.fixture
async def storage(database_url: str) -> AsyncIterator[OpenStorage]:
    """The storage of one server."""
    opened = await open_storage(database_url)
    await opened.create_account(
        Account(ACCOUNT, "First", 1, NOW, NOW),
        Environment(ENVIRONMENT, ACCOUNT, "Default", True, NOW, NOW),
        new_token("a-token-of-the-operators-own", "token-1", ACCOUNT, NOW),
        AuditEntry(ACCOUNT, NOW, "cli", "accounts.create", ACCOUNT, None),
    )
    yield opened
    await opened.close()
