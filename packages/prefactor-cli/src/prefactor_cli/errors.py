"""Turns an exception into one line on standard error and an exit code."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from typing import Any, Final

from prefactor_cli.failure import (
    FAILED,
    NOT_FOUND,
    NOT_PERMITTED,
    UNREACHABLE,
    USAGE,
    Failure,
)
from prefactor_http import (
    PrefactorAuthError,
    PrefactorHttpError,
    PrefactorNetworkError,
    PrefactorNotFoundError,
    PrefactorRedirectError,
    PrefactorRequestError,
    PrefactorResponseContractError,
    PrefactorResponseTooLargeError,
    PrefactorRetryExhaustedError,
    PrefactorValidationError,
    is_transient_http_error,
)

_CODES: Final = (
    (PrefactorAuthError, NOT_PERMITTED),
    (PrefactorNotFoundError, NOT_FOUND),
    (PrefactorValidationError, USAGE),
    (PrefactorRequestError, USAGE),
)

_CHECK_SERVER: Final = "Check --url or PREFACTOR_API_URL, and that the server runs."
_CHECK_TRUST: Final = (
    "Check the host in the URL and the clock of this machine, or set SSL_CERT_FILE to a file with "
    "the certificate of its issuer."
)
_CHECK_PATH: Final = "Check --url or PREFACTOR_API_URL, to which /api/v1 is added."


def explain(error: PrefactorHttpError, url: str) -> Failure:
    """Return the message about a failed request, with the exit code."""
    last: Exception = error
    if isinstance(error, PrefactorRetryExhaustedError) and error.last_error is not None:
        last = error.last_error
    if isinstance(last, PrefactorNetworkError) or not isinstance(last, PrefactorHttpError):
        return _unreachable(last, url)
    if is_transient_http_error(last):
        return Failure(
            f"The server at {url} is busy: {_sentence(last)} Try again later.", UNREACHABLE
        )
    if _is_another_service(last):
        return Failure(f"The API is not at {url}: {_sentence(last)} {_CHECK_PATH}", USAGE)
    code = next((code for kind, code in _CODES if isinstance(last, kind)), FAILED)
    return Failure(_message(last), code)


def _is_another_service(error: PrefactorHttpError) -> bool:
    """Whether the response is not JSON, or its server does not know the path."""
    match error:
        case PrefactorNotFoundError():
            return not is_missing(error)
        case PrefactorResponseTooLargeError():
            return False
        case PrefactorResponseContractError(status_code=status):
            # Without a status, the response is JSON that does not fit its model.
            return status is not None
        case _:
            return False


def is_missing(error: PrefactorNotFoundError) -> bool:
    """Whether the API says that an object does not exist, rather than that a path does not."""
    return error.code != "unknown" and not error.message.startswith("There is nothing at ")


def _message(error: PrefactorHttpError) -> str:
    match error:
        case PrefactorAuthError(status_code=401):
            advice = "Set PREFACTOR_API_TOKEN to a valid token of that server."
            return f"The server does not accept the token: {_sentence(error)} {advice}"
        case PrefactorAuthError():
            return f"Not permitted: {_sentence(error)}"
        case PrefactorValidationError(errors=errors):
            return f"{_sentence(error)}{_fields(errors, error.message)}"
        case PrefactorRedirectError(target=target):
            return f"The API is at another address: give --url {target or 'with that address'}"
        case PrefactorResponseTooLargeError():
            return f"{_sentence(error)} Raise PREFACTOR_MAX_RESPONSE_BYTES to read it."
        case _:
            return _sentence(error)


def _unreachable(error: Exception, url: str) -> Failure:
    slow = isinstance(error, asyncio.TimeoutError)
    advice = _CHECK_TRUST if hasattr(error, "certificate_error") else _CHECK_SERVER
    return Failure(
        f"{'No answer from' if slow else 'Cannot reach'} {url}: {_reason(error)}. {advice}",
        UNREACHABLE,
    )


def _reason(error: Exception) -> str:
    """Return why the connection failed, if possible as the operating system describes it."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({cause.verify_message.rstrip('.')})"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed ({cause.reason}). The URL of a server without TLS begins with http://"
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return os.strerror(cause.errno)
    # A failed look-up of a host name has a negative number, which only its own text explains.
    return str(getattr(cause, "strerror", None) or error).rstrip(".")


def _sentence(error: PrefactorHttpError) -> str:
    """Return the message of an error, ended by a full stop."""
    return error.message if error.message.endswith((".", "!", "?")) else f"{error.message}."


def _fields(errors: Mapping[str, Any], said: str) -> str:
    """Return the errors by field that the message does not name, as one text."""
    texts: list[str] = []
    for name, problem in errors.items():
        match problem:
            case str():
                texts.append(f"{name}: {problem}")
            case {"message": str(message)} if f"{name} {message}" not in said:
                texts.append(f"{name}: {message}")
            case [str(first), *_]:
                texts.append(f"{name}: {first}")
            case _:
                pass
    return f" {'; '.join(texts)}" if texts else ""
