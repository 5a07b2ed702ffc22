"""The connection to the server: its settings, and running a command with it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from prefactor_cli.errors import explain
from prefactor_cli.failure import NOT_PERMITTED, USAGE, Failure
from prefactor_cli.flags import ConnectionFlags
from prefactor_http import HttpClientConfig, PrefactorHttpClient, PrefactorHttpError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

Work = Callable[[PrefactorHttpClient], Awaitable[T]]

# A person waits at a terminal, so an unreachable server is reported after one second, not seven.
_RETRIES: Final = {
    "PREFACTOR_MAX_RETRIES": ("max_retries", 2),
    "PREFACTOR_INITIAL_RETRY_DELAY": ("initial_retry_delay", 0.2),
}


def api_url(flags: ConnectionFlags | None, environ: Mapping[str, str]) -> str:
    """Return the URL of the server.

    Raises:
        Failure: No URL was given.
    """
    flag = flags.url if flags is not None else None
    url = (flag or environ.get("PREFACTOR_API_URL", "")).strip()
    if not url:
        message = "PREFACTOR_API_URL is not set: export it, or give --url"
        raise Failure(message, USAGE)
    if not _is_http_url(url):
        message = (
            "The URL of the server must begin with http:// or https://, followed by a host and "
            f"perhaps a port, got {url!r}"
        )
        raise Failure(message, USAGE)
    return url.rstrip("/")


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Reading a port that is not a number from 0 to 65535 raises ValueError.
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def settings(flags: ConnectionFlags | None, environ: Mapping[str, str]) -> HttpClientConfig:
    """Return the settings of the client.

    Raises:
        Failure: A setting is missing or invalid.
    """
    options: dict[str, Any] = {
        "api_url": api_url(flags, environ),
        "api_token": _token(flags, environ),
    }
    options |= {
        name: value for variable, (name, value) in _RETRIES.items() if variable not in environ
    }
    try:
        return HttpClientConfig.from_env(environ, **options)
    except ValueError as error:
        raise Failure(str(error), USAGE) from None


def run(flags: ConnectionFlags | None, work: Work[T]) -> T:
    """Open a client, do some work with it, and return the result.

    Raises:
        Failure: The work failed. The message is for a person at a terminal.
    """
    config = settings(flags, os.environ)

    async def connected() -> T:
        async with PrefactorHttpClient(config) as client:
            return await work(client)

    try:
        return asyncio.run(connected())
    except PrefactorHttpError as error:
        raise explain(error, config.api_url) from error


def _token(flags: ConnectionFlags | None, environ: Mapping[str, str]) -> str:
    file = flags.token_file if flags is not None else None
    if file is not None:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            message = f"--token-file: cannot read {file}: {reason}"
            raise Failure(message, USAGE) from None
        if not token:
            message = f"--token-file: {file} is empty"
            raise Failure(message, USAGE)
        return token
    token = environ.get("PREFACTOR_API_TOKEN", "").strip()
    if not token:
        message = (
            "PREFACTOR_API_TOKEN is not set: export a token of the server, or give --token-file. "
            "`prefactor-server token create` creates one"
        )
        raise Failure(message, NOT_PERMITTED)
    return token
