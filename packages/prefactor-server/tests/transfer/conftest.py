"""Two servers: one with recorded data, and an empty one over each backend."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from api_client import ApiClient, open_api_client


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[ApiClient]:
    """A client of the server that is exported."""
    async with open_api_client(f"sqlite:///{tmp_path / 'source.db'}") as opened:
        yield opened


@pytest.fixture
async def target(database_url: str) -> AsyncIterator[ApiClient]:
    """A client of an empty server, to import into."""
    async with open_api_client(database_url) as opened:
        yield opened
