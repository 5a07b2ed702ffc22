"""What the tests of the server share: ``support/`` is importable, a database is at hand."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent / "support"))

from database import Database, make_database


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A new database file with two accounts in it, open as a server has it open."""
    made = await make_database(tmp_path / "prefactor.db")
    yield made
    await made.storage.close()
