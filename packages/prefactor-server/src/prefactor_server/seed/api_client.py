"""A small client of the API with one connection, which retries while the server is busy."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import quote, urlencode, urlsplit

from prefactor_server.domain.errors import Refusal, SettingError, Unavailable
from prefactor_server.seed.span_types import Json

_TIMEOUT: Final = 120.0
_ATTEMPTS: Final = 8
_LONGEST_WAIT: Final = 30.0
_ABOUT_WAITING: Final = "trying again for about a minute"
_BUSY: Final = frozenset({429, 502, 503, 504})


class ApiAddress:
    """The URL of the API, and the token for it.

    Raises:
        SettingError: the URL is not an http or https URL without a query, or the token cannot be
            sent in a header.
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingError(
                f"--url must be an http or https URL such as http://127.0.0.1:8585, got {url!r}"
            )
        if parts.query or parts.fragment or parts.username is not None:
            raise SettingError("--url must not have a query, a fragment or a user name")
        if not token or not token.isascii() or not token.isprintable():
            raise SettingError(
                "PREFACTOR_API_TOKEN must contain a token: create one with prefactor-server token "
                "create"
            )
        try:
            self.port = parts.port
        except ValueError as error:
            raise SettingError(f"--url: {error}") from error
        self.host = parts.hostname
        self.secure = parts.scheme == "https"
        self.prefix = parts.path.rstrip("/")
        self.token = token
        self.url = url

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection, not yet opened."""
        kind = http.client.HTTPSConnection if self.secure else http.client.HTTPConnection
        return kind(self.host, self.port, timeout=_TIMEOUT)


class ApiClient:
    """One connection to the API. Requests must be idempotent: reads, or writes with a key.

    Args:
        address: the API.
        tell: receives why a request waits, when it begins to.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        address: ApiAddress,
        *,
        tell: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = address
        self._tell = tell
        self._sleep = sleep
        self._connection = address.connect()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def ping(self) -> Mapping[str, Any]:
        """Return what the API says about the token. Waits for a busy server, but not for none.

        Raises:
            Refusal: the server rejected the request, or cannot be reached.
        """
        return self._found("GET", "/api/v1/ping", None, is_first=True)

    def get(self, path: str, **query: str) -> Mapping[str, Any] | None:
        """Read an object, or return None if it does not exist.

        Raises:
            Refusal: the server rejected the request, or cannot be reached.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        return self._request("GET", target, None, may_be_missing=True)

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write an object.

        Raises:
            Refusal: the server rejected the request, or cannot be reached.
        """
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return self._found("POST", path, content)

    def _found(
        self, method: str, path: str, body: bytes | None, *, is_first: bool = False
    ) -> Mapping[str, Any]:
        document = self._request(method, path, body, may_be_missing=False, is_first=is_first)
        if document is None:
            raise TypeError(path)
        return document

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None,
        *,
        may_be_missing: bool,
        is_first: bool = False,
    ) -> Mapping[str, Any] | None:
        problem = ""
        for attempt in range(_ATTEMPTS):
            if attempt == 1:
                self._tell(f"{problem}: {_ABOUT_WAITING}")
            if attempt:
                self._sleep(min(_LONGEST_WAIT, 0.25 * 2**attempt))
            try:
                status, document = self._exchange(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                problem = f"Cannot reach {self._address.url}: {_reason(error)}"
                if is_first:
                    raise Unavailable(
                        f"{problem}. Check --url, and that the server runs."
                    ) from None
                continue
            if status in _BUSY:
                problem = f"The server is busy: {status} {document.get('message', '')}".rstrip()
                continue
            if status == http.client.NOT_FOUND and may_be_missing:
                return None
            if status != http.client.OK:
                raise Refusal(f"{method} {path}: {status} {_explained(document)}")
            return document
        raise Unavailable(f"{method} {path}: gave up after {_ATTEMPTS} attempts: {problem}")

    def _exchange(
        self, method: str, path: str, body: bytes | None
    ) -> tuple[int, Mapping[str, Any]]:
        headers = {"Authorization": f"Bearer {self._address.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        self._connection.request(method, self._address.prefix + path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        try:
            document = json.loads(content)
        except ValueError:
            document = {
                "message": "the response is not JSON: check that --url is the address of the API"
            }
        return response.status, cast("Json", document) if isinstance(document, dict) else {}


def path_of(kind: str, identifier: str) -> str:
    """Return the path of one resource."""
    return f"/api/v1/{kind}/{quote(identifier, safe='')}"


def _reason(error: OSError | http.client.HTTPException) -> str:
    """Return why a connection failed, if possible as the operating system describes it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message.rstrip('.')})"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason}). The URL of a server without TLS begins with http://"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _explained(document: Mapping[str, Any]) -> str:
    """Return the message of an error body, with its field errors."""
    message = str(document.get("message", "without a message"))
    errors = document.get("errors")
    return f"{message} {json.dumps(errors)}" if errors else message
