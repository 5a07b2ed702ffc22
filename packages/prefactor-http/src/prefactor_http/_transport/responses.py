"""Converts a response to a value or an error, by its status class and then by its body.

A proxy's HTML page with status 404 is still a not-found error, and an empty 204 is a success. Only
a body that should have been JSON and is not becomes a contract error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from prefactor_http._redaction import url_for_message
from prefactor_http._transport.inflate import ACCEPTED
from prefactor_http._transport.retry_after import retry_after, should_retry
from prefactor_http.exceptions import (
    RATE_LIMITED,
    SERVER_ERROR,
    PrefactorApiError,
    PrefactorAuthError,
    PrefactorConflictError,
    PrefactorHttpError,
    PrefactorNotFoundError,
    PrefactorRateLimitError,
    PrefactorRedirectError,
    PrefactorResponseContractError,
    PrefactorResponseTooLargeError,
    PrefactorValidationError,
)

try:
    # Twice as fast as json.loads, and accepts bytes.
    from pydantic_core import from_json
except ImportError:  # pydantic before 2.4
    from_json = json.loads  # type: ignore[assignment]

if TYPE_CHECKING:
    from prefactor_http._redaction import Redactor


SNIPPET_LENGTH = 200
"""Maximum characters of a body in an error message."""
REDIRECT = 300
"""The first status that redirects."""
ERROR = 400
"""The first status that is an error."""
_NOT_MODIFIED = 304
_BODILESS = frozenset({204, 205})
_BY_STATUS: dict[int, type[PrefactorApiError]] = {
    401: PrefactorAuthError,
    403: PrefactorAuthError,
    404: PrefactorNotFoundError,
    409: PrefactorConflictError,
    RATE_LIMITED: PrefactorRateLimitError,
}
_INVALID = frozenset({400, 422})
_NOT_THE_API = "HTTP {}. The answer is not from the API: check api_url, and proxies on the way"


class Reply(NamedTuple):
    """A response that was read, with everything that decides between success and failure."""

    path: str
    """The path of the request, for messages."""
    method: str
    """The method of the request; the response to a HEAD has no body."""
    status: int
    """The HTTP status."""
    body: bytes | str
    """The body as received."""
    headers: object = None
    """The response headers, ignored if they are not a mapping (as in test doubles)."""
    defect: PrefactorResponseContractError | None = None
    """Why the body was not read, if it was not."""

    def __repr__(self) -> str:
        """Return path and status; not the body, because some tracebacks show locals."""
        return f"Reply({self.method} {self.path}: {self.status})"


class RawResponse(NamedTuple):
    """A successful response as it was received."""

    status: int
    """The HTTP status, below 300 or 304."""
    headers: Mapping[str, str]
    """The headers of the response, with case-insensitive lookup."""
    body: bytes
    """The body, decompressed."""

    def __repr__(self) -> str:
        """Return status and size; not the body, because tracebacks may show it."""
        return f"RawResponse(status={self.status}, {len(self.body)} bytes)"


def raw(reply: Reply, redactor: Redactor) -> RawResponse:
    """Return a successful response unparsed.

    Raises:
        PrefactorApiError: The status is 400 or above, or a redirect (a subclass by status).
        PrefactorResponseContractError: It is 500 or above, and the body is not a JSON object.
    """
    refused = reply.status >= REDIRECT and reply.status != _NOT_MODIFIED
    if refused or reply.defect is not None:
        raise _error_from(reply, redactor)
    body = reply.body if isinstance(reply.body, bytes) else reply.body.encode()
    headers = cast("Mapping[str, str]", reply.headers if reply.headers is not None else {})
    return RawResponse(reply.status, headers, body)


def parse(reply: Reply, redactor: Redactor) -> dict[str, Any]:
    """Return the JSON object of a successful response; `{}` if it has no body by definition.

    Raises:
        PrefactorApiError: The status is 400 or above, or a redirect (a subclass by status).
        PrefactorResponseContractError: The body of a success, or of a 5xx, is not a JSON object.
    """
    if reply.status < REDIRECT:
        value = _decoded(reply.body)
        if type(value) is dict:
            return cast("dict[str, Any]", value)
        if (
            not reply.body
            and not reply.defect
            and (reply.status in _BODILESS or reply.method == "HEAD")
        ):
            return {}
    raise _error_from(reply, redactor)


def header_map(headers: object) -> dict[str, str]:
    """Return the text headers with lower-case names; an empty dict if they are not a mapping."""
    if not isinstance(headers, Mapping):
        return {}
    entries: Mapping[Any, Any] = headers  # pyright: ignore[reportUnknownVariableType]
    return {
        name.lower(): value
        for name, value in entries.items()
        if isinstance(name, str) and isinstance(value, str)
    }


def snippet(text: str) -> str | None:
    """Return the beginning of a body on one line, or None if it is blank."""
    line = re.sub(r"\s+", " ", text).strip()
    if len(line) > SNIPPET_LENGTH:
        return f"{line[:SNIPPET_LENGTH]}..."
    return line or None


def _decoded(body: bytes | str) -> Any:
    """Return the JSON value of a body, or None if it is not JSON."""
    try:
        return from_json(body)
    except (ValueError, RecursionError):
        pass
    try:
        # Slower, but supports deeper nesting.
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _error_from(reply: Reply, redactor: Redactor) -> PrefactorHttpError:
    """Return the error of a response, with all its details."""
    error = _base_error(reply, redactor)
    _add_header_facts(error, reply, redactor)
    return error


def too_large(method: str, path: str, status: int, limit: int) -> PrefactorResponseContractError:
    """Return the error for a body that was not read completely, because it exceeds the limit."""
    message = (
        f"The response to {method} {path} (status {status}) has more than {limit} bytes: "
        f"ask for less, for example smaller pages, or raise max_response_bytes"
    )
    return PrefactorResponseTooLargeError(message, limit=limit, status_code=status)


def unreadable(method: str, path: str, status: int, coding: str) -> PrefactorResponseContractError:
    """Return the error for a body in a content coding that was not requested."""
    message = (
        f"The response to {method} {path} (status {status}) has the content coding "
        f"{snippet(coding)!r}: only {ACCEPTED} is supported, and nothing else was requested"
    )
    return PrefactorResponseContractError(message, status_code=status)


def _base_error(reply: Reply, redactor: Redactor) -> PrefactorHttpError:
    """Return the error of a response, by its status if possible, or else about its body."""
    if REDIRECT <= reply.status < ERROR and reply.status != _NOT_MODIFIED:
        return _redirect(reply, redactor)
    if reply.defect is not None:
        if not ERROR <= reply.status < SERVER_ERROR:
            return reply.defect
        # The status is enough.
        return _api_error(reply.status, {"message": f"HTTP {reply.status}. {reply.defect}"})
    text = redactor.text(_text(reply.body))
    value: Any = None
    cause: Exception | None = None
    try:
        value = json.loads(text)
        if reply.status < ERROR:
            json.loads(reply.body)  # fails if only the replaced characters made it readable
    except (ValueError, RecursionError) as error:
        cause = error
    is_object = isinstance(value, dict)
    if reply.status < ERROR or (reply.status >= SERVER_ERROR and not is_object):
        return _contract_error(reply, text, cause)
    if is_object:
        return _api_error(reply.status, redactor.value(value))
    return _api_error(reply.status, {"message": _NOT_THE_API.format(reply.status) if text else ""})


def _redirect(reply: Reply, redactor: Redactor) -> PrefactorRedirectError:
    location = header_map(reply.headers).get("location")
    target = redactor.text(url_for_message(location)) if location else None
    message = (
        f"{reply.method} {reply.path} was answered with status {reply.status}, a redirect to "
        f"{target or 'nowhere'}. Redirects are not followed, because that would send the token to "
        f"another address: set api_url to the address of the API"
    )
    return PrefactorRedirectError(message, "unknown", reply.status, target)


def _api_error(status: int, body: dict[str, Any]) -> PrefactorApiError:
    # A null field counts as absent.
    message = str(body.get("message") or f"HTTP {status}")
    code = str(body.get("code") or "unknown")
    if status in _INVALID:
        errors: Any = body.get("errors") or {}
        if not isinstance(errors, dict):
            errors = {"errors": errors}
        fields = cast("dict[str, Any]", errors)
        error: PrefactorApiError = PrefactorValidationError(message, code, status, fields)
    else:
        error = _BY_STATUS.get(status, PrefactorApiError)(message, code, status)
    request_id = body.get("request_id")
    error.request_id = request_id if isinstance(request_id, str) else None
    limit, limit_of = body.get("limit"), body.get("limit_of")
    # bool is a subclass of int, but not a limit.
    error.limit = limit if type(limit) is int else None
    error.limit_of = limit_of if isinstance(limit_of, str) else None
    return error


def _contract_error(
    reply: Reply, text: str, cause: Exception | None
) -> PrefactorResponseContractError:
    shown = snippet(text)
    if cause is None:
        message = f"Expected JSON object response from {reply.path}"
    else:
        message = f"Expected JSON response from {reply.path}, received invalid JSON"
        message += f": {shown}" if shown else ""
    error = PrefactorResponseContractError(
        message, status_code=reply.status, body_snippet=shown, cause=cause
    )
    error.__cause__ = cause
    return error


def _add_header_facts(error: PrefactorHttpError, reply: Reply, redactor: Redactor) -> None:
    """Add the details from the headers to an error."""
    headers = header_map(reply.headers)
    error.retry_after = retry_after(headers)
    error.should_retry = should_retry(headers)
    request_id = error.request_id or headers.get("x-request-id")
    error.request_id = redactor.text(request_id) if request_id else None


def _text(body: bytes | str) -> str:
    return body if isinstance(body, str) else body.decode("utf-8", errors="replace")
