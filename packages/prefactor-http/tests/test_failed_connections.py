"""A failed connection: what the error is, what it advises, and whether it is retried."""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from certificates import self_signed, server_context
from prefactor_http import (
    HttpClientConfig,
    PrefactorHttpClient,
    PrefactorHttpError,
    PrefactorNetworkError,
    PrefactorRequestError,
    PrefactorRetryExhaustedError,
    is_transient_http_error,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from prefactor_http.testing import ScriptedServer


class Answering:
    """Gives one answer to every connection, and counts them."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.connections = 0
        self.port = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        self.connections += 1
        writer.write(self.answer)
        writer.close()


@asynccontextmanager
async def answering(
    answer: bytes = b"", context: ssl.SSLContext | None = None
) -> AsyncIterator[Answering]:
    """Listen on a free port of the loopback address."""
    handler = Answering(answer)
    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
    handler.port = server.sockets[0].getsockname()[1]
    async with server:
        yield handler


async def failure(url: str, **arguments: Any) -> PrefactorHttpError:
    """Return the error of a call with two retries."""
    config = HttpClientConfig(url, "test-token", max_retries=2, initial_retry_delay=0.001)
    async with PrefactorHttpClient(config, **arguments) as client:
        with pytest.raises(PrefactorHttpError) as caught:
            await client.validate_token()
    return caught.value


@pytest.mark.parametrize(
    ("certificate", "is_trusted", "advice"),
    [
        ({}, False, r"self-signed.*\. Trust the issuer .*SSL_CERT_FILE$"),
        ({"host": "127.0.0.2"}, True, r"mismatch.*\. Set api_url to a host that the certificate"),
        ({"days": -2}, True, r"expired.*\. Renew the certificate"),
    ],
)
async def test_a_refused_certificate_is_not_retried(
    tmp_path: Path, certificate: dict[str, Any], is_trusted: bool, advice: str
) -> None:
    """It is a network error that says what to do, after one attempt in which nothing was sent."""
    file = self_signed(tmp_path / "certificate.pem", **certificate)
    context = ssl.create_default_context(cafile=file if is_trusted else None)
    async with answering(context=server_context(file)) as server:
        error = await failure(f"https://127.0.0.1:{server.port}", ssl=context)

    assert isinstance(error, PrefactorNetworkError)
    assert isinstance(error, aiohttp.ClientConnectorCertificateError)
    assert not isinstance(error, PrefactorRequestError)
    assert (error.attempts, error.may_have_been_processed) == (1, False)
    assert re.search(advice, str(error))
    # The contract calls every error of aiohttp transient.
    assert is_transient_http_error(error)


async def test_https_to_a_server_without_tls_names_the_scheme() -> None:
    """The message says how the URL of a server without TLS begins."""
    async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        error = await failure(f"https://127.0.0.1:{server.port}")

    assert str(error).endswith("The api_url of a server without TLS begins with http://")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:80", "http://", "http://h:99999"])
async def test_an_invalid_url_is_explained(url: str) -> None:
    """The message says how api_url has to begin, and the error is one of the request."""
    error = await failure(url)

    assert isinstance(error, PrefactorRequestError)
    assert str(error).endswith("api_url must begin with http:// or https://, followed by a host")


async def test_a_password_in_the_url_is_explained(server: ScriptedServer) -> None:
    """The message says to remove it, without quoting it, and nothing is sent."""
    error = await failure(server.url.replace("//", "//user:hidden-word@"))

    assert isinstance(error, PrefactorRequestError)
    assert "remove them from api_url" in str(error)
    assert "hidden-word" not in str(error)
    assert not server.requests


async def test_a_netrc_entry_is_explained(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `trust_env`, an entry of the API's host would replace the token: the message says so."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password hidden-word\n")
    monkeypatch.setenv("NETRC", str(netrc))

    error = await failure(server.url, trust_env=True)

    assert "with trust_env the entry of its host from ~/.netrc" in str(error)
    assert not server.requests


@pytest.mark.parametrize(("status", "attempts"), [(407, 1), (403, 1), (429, 3), (502, 3)])
async def test_a_proxy_that_refuses_is_not_retried(status: int, attempts: int) -> None:
    """A proxy that is busy or broken gets another attempt, one that refuses the caller does not."""
    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()
    async with answering(answer) as proxy:
        url = f"http://user:hidden-word@127.0.0.1:{proxy.port}"
        error = await failure("https://127.0.0.1:9", proxy=url)

    assert isinstance(error, PrefactorRetryExhaustedError) == (attempts > 1)
    assert (error.attempts, proxy.connections) == (attempts, attempts)
    assert "check its URL and credentials" in str(error)
    assert "hidden-word" not in str(error)
