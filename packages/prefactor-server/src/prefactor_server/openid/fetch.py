"""Send requests to the provider and read JSON responses of limited size within a limited time.

Each request has its own connection, because people sign in rarely. Redirects are not followed,
because a request may contain a secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache
from ssl import SSLContext
from typing import Any, Final, cast

import msgspec

from prefactor_server.domain.people.openid import OpenIdRefused

_SECONDS: Final = 10.0
_MAX_BYTES: Final = 1024 * 1024
_OK: Final = 200


async def fetch_json(
    url: str,
    form: Mapping[str, str] | None = None,
    *,
    basic: tuple[str, str] | None = None,
    bearer: str | None = None,
) -> Mapping[str, Any]:
    """Post a form, or send a GET without one; return the JSON object of the response.

    Raises:
        OpenIdRefused: the request failed. The reason is ``provider``.
    """
    # Imported on use: a server without a provider needs no HTTP client.
    import httpx2  # noqa: PLC0415 - see above

    headers = {"accept": "application/json"}
    if bearer is not None:
        headers["authorization"] = f"Bearer {bearer}"
    auth = None if basic is None else httpx2.BasicAuth(*basic)
    method, data = ("GET", None) if form is None else ("POST", dict(form))
    try:
        async with (
            asyncio.timeout(_SECONDS),
            httpx2.AsyncClient(timeout=_SECONDS, verify=_tls()) as client,
            client.stream(method, url, data=data, headers=headers, auth=auth) as response,
        ):
            body = b""
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _MAX_BYTES:
                    raise OpenIdRefused(
                        "provider", f"{url} responds with more than {_MAX_BYTES} bytes"
                    )
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        # ``TimeoutError`` is an ``OSError``.
        described = str(error) or type(error).__name__
        raise OpenIdRefused("provider", f"{url}: {described}") from error
    if response.status_code != _OK:
        raise OpenIdRefused(
            "provider", f"{url} responds with {response.status_code}{_error_in(body)}"
        )
    return _object(body, url)


def preload() -> None:
    """Load the HTTP client and the certificates, so that the first request does not block."""
    _tls()


@cache
def _tls() -> SSLContext:
    """Load the system's certificates once, because it takes tens of milliseconds."""
    import httpx2  # noqa: PLC0415 - see fetch_json

    return httpx2.create_ssl_context()


def _object(body: bytes, url: str) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise OpenIdRefused("provider", f"{url} does not respond with JSON: {error}") from error
    if not isinstance(found, dict):
        raise OpenIdRefused("provider", f"{url} does not respond with a JSON object")
    return cast("dict[str, Any]", found)


def _error_in(body: bytes) -> str:
    """Return the code of an OAuth error, with its description if it has one."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    answer = cast("dict[str, Any]", found)
    texts = [str(answer[name])[:200] for name in ("error", "error_description") if name in answer]
    return f" ({': '.join(texts)})" if texts else ""
