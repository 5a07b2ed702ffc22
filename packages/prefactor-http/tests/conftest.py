"""Fixtures of the client's tests: a scripted server on a real socket, and a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from prefactor_http import PrefactorHttpClient
from prefactor_http.testing import ScriptedServer
from reserved_port import reserved_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    """A server that behaves like the API by default."""
    async with ScriptedServer() as running:
        yield running


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[PrefactorHttpClient]:
    """A client of that server with three retries, milliseconds apart."""
    async with PrefactorHttpClient(server.config()) as opened:
        yield opened


@pytest.fixture
def unused_tcp_port() -> Iterator[int]:
    """A port of the loopback address on which nobody listens."""
    with reserved_port() as port:
        yield port
