"""The errors of this package for what aiohttp and asyncio raise."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp

from prefactor_http._redaction import without_userinfo
from prefactor_http.exceptions import (
    PrefactorHttpError,
    PrefactorNetworkError,
    PrefactorRequestError,
    PrefactorTimeoutError,
    join_classes,
    state_of,
)

if TYPE_CHECKING:
    from prefactor_http._redaction import Redactor

# Looked up by name, because aiohttp 3.9 does not have all of them.
_INVALID_REQUEST = (
    ValueError,  # aiohttp.InvalidURL is one too
    TypeError,
    getattr(aiohttp, "NonHttpUrlClientError", aiohttp.InvalidURL),
)
_NOT_SENT = (
    *_INVALID_REQUEST,
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ServerFingerprintMismatch,
    getattr(aiohttp, "ConnectionTimeoutError", aiohttp.ClientConnectorError),
)


def translated(
    original: Exception, request: str, redactor: Redactor, limit: float | None = None
) -> PrefactorHttpError:
    """The error of this package for a failed attempt, also an instance of the original's class.

    Args:
        original: What aiohttp or asyncio raised.
        request: Method and path, for the message.
        redactor: Removes the token from the text.
        limit: Seconds that the attempt had, for a timeout that does not say.
    """
    error = _join_classes(original)
    said = _text_of(original)
    if not said:
        said = "no details" if limit is None else f"no answer within {limit:g} seconds"
    said = without_userinfo(said)
    message = f"{request} failed: {type(original).__name__}: {said}"
    PrefactorHttpError.__init__(error, redactor.text(message))
    if isinstance(error, PrefactorNetworkError):
        error.may_have_been_processed = not _was_not_sent(original)
    # A cause is printed with the traceback; better none than one that shows the token.
    error.__cause__ = None if redactor.contains_token(f"{said} {original!r}") else original
    error.__suppress_context__ = True
    return error


def _text_of(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - aiohttp's own __str__ fails on half-made errors
        return ""


def _was_not_sent(original: Exception) -> bool:
    # aiohttp itself never raises its bare base class; wrappers and test doubles do, and they
    # mean "the network is down".
    return isinstance(original, _NOT_SENT) or type(original) is aiohttp.ClientError


def _join_classes(original: Exception) -> PrefactorHttpError:
    if isinstance(original, aiohttp.ClientResponseError):
        _hide_request_headers(original)
    if isinstance(original, _INVALID_REQUEST):
        base: type[PrefactorHttpError] = PrefactorRequestError
    elif isinstance(original, asyncio.TimeoutError):
        base = PrefactorTimeoutError
    else:
        base = PrefactorNetworkError
    cls = join_classes(base, type(original))
    error = cls.__new__(cls)
    for name, value in state_of(original).items():
        setattr(error, name, value)
    return error


def _hide_request_headers(error: aiohttp.ClientResponseError) -> None:
    """Drop the headers of the request, token included, which this one class keeps and prints."""
    info: Any = error.request_info
    if info is not None:  # it is, in test doubles
        kept = info.headers.copy()
        kept.clear()
        headers = type(info.headers)(kept)
        error.request_info = aiohttp.RequestInfo(info.url, info.method, headers, info.real_url)
        error.args = (error.request_info, error.history)
