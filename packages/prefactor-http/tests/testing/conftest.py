"""A server with visible state, and a plain HTTP session instead of our client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from prefactor_http.testing import ScriptedServer


class Api:
    """The API of a server over one plain session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def get(self, path: str, **query: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of a GET."""
        async with self.session.get(f"/api/v1/{path}", params=query) as response:
            return response.status, await response.json()

    async def post(
        self, path: str, body: dict[str, Any] | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of a POST."""
        url = f"/api/v1/{path}"
        async with self.session.post(url, json=body, headers=headers) as response:
            return response.status, await response.json()


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    """A server without faults."""
    async with ScriptedServer() as server:
        yield server


@pytest.fixture
async def api(server: ScriptedServer) -> AsyncIterator[Api]:
    """The API of `server`."""
    headers = {"authorization": f"Bearer {server.token}"}
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(server.url, headers=headers, timeout=timeout) as session:
        yield Api(session)
