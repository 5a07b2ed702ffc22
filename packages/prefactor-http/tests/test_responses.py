"""Answers that do not come from the API, or are not what they say."""

from __future__ import annotations

import pytest

from client_fixture import PING
from prefactor_http import (
    PrefactorApiError,
    PrefactorHttpClient,
    PrefactorResponseContractError,
)
from prefactor_http.testing import HtmlReply, Reply, ScriptedServer


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413])
async def test_a_page_of_a_proxy_is_recognised(
    client: PrefactorHttpClient, server: ScriptedServer, status: int
) -> None:
    """The message of an error without JSON says that the answer is not from the API."""
    server.script(HtmlReply(status))

    with pytest.raises(PrefactorApiError, match=rf"^HTTP {status}\. .*check api_url") as caught:
        await client.request("GET", PING)
    assert (caught.value.code, caught.value.status_code) == ("unknown", status)


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_an_error_without_details_has_its_status_only(
    client: PrefactorHttpClient, server: ScriptedServer, body: bytes
) -> None:
    """An empty body, or an object without a message, says nothing about where it came from."""
    server.script(Reply(403, body))

    with pytest.raises(PrefactorApiError, match=r"^HTTP 403$"):
        await client.request("GET", PING)


async def test_a_body_that_is_not_utf_8_is_invalid_json(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """The message says that the JSON is invalid, and the cause where, although it is an object."""
    server.script(Reply(200, b'{"details": "\xff"}'))

    with pytest.raises(PrefactorResponseContractError, match="received invalid JSON") as caught:
        await client.request("GET", PING)
    assert isinstance(caught.value.cause, UnicodeDecodeError)
