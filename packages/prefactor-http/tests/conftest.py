"""Fixtures of the client's tests: a scripted server on a real socket, and a client."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from prefactor_http import PrefactorHttpClient
from prefactor_http.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


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
def unused_tcp_port() -> int:
    """A free port of the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
