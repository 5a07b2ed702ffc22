"""Compatibility with tests that were written for the published package.

Such tests replace the client's session, or one of its methods, with a double. A double accepts five
arguments of `request`, and its responses have a text, a status and possibly headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from prefactor_http._transport.responses import Reply


def is_aiohttp_session(session: object) -> bool:
    """Return whether it is a session of aiohttp rather than a test double."""
    return isinstance(session, aiohttp.ClientSession) and "request" not in vars(session)


async def ask_double(
    session: aiohttp.ClientSession, path: str, arguments: Mapping[str, Any]
) -> Reply:
    """Make a request with a test double of a session, which accepts five arguments."""
    async with session.request(**arguments) as response:
        return await read_double(response, path, arguments)


async def read_double(response: Any, path: str, arguments: Mapping[str, Any]) -> Reply:
    """Read the text of a test double of a response."""
    real = isinstance(response, aiohttp.ClientResponse)
    body: bytes | str = await (response.read() if real else response.text())
    return Reply(path, arguments["method"], response.status, body, response.headers)
