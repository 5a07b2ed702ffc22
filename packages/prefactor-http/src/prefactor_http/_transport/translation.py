"""Translates exceptions of aiohttp and asyncio into the errors of this package."""

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

# Looked up by name, because aiohttp 3.9 lacks some of them.
_INVALID_URL = (
    aiohttp.InvalidURL,
    getattr(aiohttp, "NonHttpUrlClientError", aiohttp.InvalidURL),
)
_INVALID_REQUEST = (*_INVALID_URL, ValueError, TypeError)
_NOT_SENT = (
    *_INVALID_REQUEST,
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ServerFingerprintMismatch,
    getattr(aiohttp, "ConnectionTimeoutError", aiohttp.ClientConnectorError),
)
# Verification errors of OpenSSL (X509_V_ERR_...): not yet valid, expired; another host, another IP.
_WRONG_TIME = frozenset({9, 10})
_WRONG_HOST = frozenset({62, 64})


def translated(
    original: Exception, request: str, redactor: Redactor, limit: float | None = None
) -> PrefactorHttpError:
    """Return the error for a failed attempt, which is also an instance of the original's class.

    An error of this package is returned as it is.

    Args:
        original: The exception of aiohttp or asyncio.
        request: Method and path, for the message.
        redactor: Masks secrets in the text.
        limit: The time limit of the attempt in seconds, for a timeout without a message.
    """
    if isinstance(original, PrefactorHttpError):
        return original
    error = _join_classes(original)
    text = _text_of(original)
    if not text:
        text = "no details" if limit is None else f"no answer within {limit:g} seconds"
    text = without_userinfo(text)
    message = f"{request} failed: {type(original).__name__}: {text}"
    if advice := _advice(original, text):
        message += f". {advice}"
    PrefactorHttpError.__init__(error, redactor.text(message))
    if isinstance(error, PrefactorNetworkError):
        error.may_have_been_processed = not _was_not_sent(original)
    # A cause is printed with the traceback. It is dropped if it would show a secret.
    error.__cause__ = None if redactor.contains_secret(f"{text} {original!r}") else original
    error.__suppress_context__ = True
    return error


def _text_of(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - aiohttp's own __str__ fails on incomplete errors
        return ""


def _was_not_sent(original: Exception) -> bool:
    # aiohttp itself never raises its bare base class. Wrappers and test doubles do, to mean "the
    # network is down".
    return isinstance(original, _NOT_SENT) or type(original) is aiohttp.ClientError


def _join_classes(original: Exception) -> PrefactorHttpError:
    if isinstance(original, aiohttp.ClientResponseError):
        _hide_request_headers(original)
    if isinstance(original, aiohttp.ClientConnectorError):
        # A refused certificate is a ValueError too, but the request is valid.
        base: type[PrefactorHttpError] = PrefactorNetworkError
    elif isinstance(original, _INVALID_REQUEST):
        base = PrefactorRequestError
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
    """Remove the request headers, including the token, that only this class stores and prints."""
    info: Any = error.request_info
    if info is not None:  # test doubles may pass None
        kept = info.headers.copy()
        kept.clear()
        headers = type(info.headers)(kept)
        error.request_info = aiohttp.RequestInfo(info.url, info.method, headers, info.real_url)
        error.args = (error.request_info, error.history)


# --- What to do -----------------------------------------------------------------------------------


def _advice(error: Exception, text: str) -> str:
    """Return what the caller can do about the error, to append to its text; empty if unknown."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _about_certificate(error.certificate_error)
        case aiohttp.ClientConnectorSSLError():
            return "The api_url of a server without TLS begins with http://"
        case aiohttp.ClientHttpProxyError():
            return "The proxy refused to connect to the server: check its URL and credentials"
        case _ if isinstance(error, _INVALID_URL):
            return "api_url must begin with http:// or https://, followed by a host"
        case ValueError() if "Cannot combine" in text:
            return (
                "The token takes the place of a user name and password: remove them from api_url, "
                "and with trust_env the entry of its host from ~/.netrc"
            )
        case _:
            return ""


def _about_certificate(error: Exception) -> str:
    code = getattr(error, "verify_code", None)
    if code in _WRONG_TIME:
        return "Renew the certificate of the server, or correct the clock of this machine"
    if code in _WRONG_HOST:
        return "Set api_url to a host that the certificate of the server names"
    return (
        "Trust the issuer of the certificate: pass "
        "ssl=ssl.create_default_context(cafile=...), or set SSL_CERT_FILE"
    )
