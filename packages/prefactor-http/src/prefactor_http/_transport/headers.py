"""The headers of a request: token, SDK, content type and idempotency key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multidict import CIMultiDict, istr

from prefactor_http._redaction import authorization_values, cookie_values
from prefactor_http._transport.inflate import ACCEPTED
from prefactor_http._version import PACKAGE_NAME, PACKAGE_VERSION
from prefactor_http.exceptions import PrefactorRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefactor_http._redaction import Redactor

# Names that cache their lower-case form, which aiohttp would otherwise compute for each request.
AUTHORIZATION = istr("Authorization")
IDEMPOTENCY_KEY = istr("Idempotency-Key")
COOKIE = istr("Cookie")
REQUEST_MARK = istr("X-Prefactor-Request")


class Headers:
    """The headers of a client, built once and copied for each request.

    Args:
        token: The bearer token.
        sdk: Replaces the `X-Prefactor-SDK` value `prefactor-http@<version>`.
        redactor: Masks each new token from before it is sent.

    Raises:
        PrefactorRequestError: The token or `sdk` cannot be sent in a header.
    """

    __slots__ = ("_cookie", "_redactor", "_sdk", "_token", "_usual")

    def __init__(self, token: str, sdk: str | None, redactor: Redactor) -> None:
        """Validate both values."""
        sdk = sdk or f"{PACKAGE_NAME}@{PACKAGE_VERSION}"
        _check("api_token", token)
        _check("sdk_header", sdk)
        self._token = token
        self._sdk = sdk
        self._redactor = redactor
        self._cookie: str | None = None
        self._usual: CIMultiDict[str] = CIMultiDict(
            {
                AUTHORIZATION: f"Bearer {token}",
                istr("Content-Type"): "application/json",
                istr("Accept"): "application/json",
                istr("Accept-Encoding"): ACCEPTED,
                istr("X-Prefactor-SDK"): sdk,
            }
        )

    def with_session(self, cookie: str) -> Headers:
        """Return the headers for a person's session instead of the token.

        Raises:
            PrefactorRequestError: The cookie cannot be sent in a header.
        """
        _check("cookie", cookie)
        headers = Headers(self._token, self._sdk, self._redactor)
        headers._cookie = cookie
        del headers._usual[AUTHORIZATION]
        headers._usual[COOKIE] = cookie
        # The server requires this of every write with a cookie.
        headers._usual[REQUEST_MARK] = "1"
        return headers

    def of(self, token: str, key: str | None, extra: Mapping[str, str] | None) -> CIMultiDict[str]:
        """Return the headers of one request.

        Args:
            token: The current token, because a configuration may be given a new one.
            key: The idempotency key.
            extra: Headers that override the client's, except for the key.
        """
        if token is not self._token and self._cookie is None:
            self._redactor.add(token)
            self._token, self._usual[AUTHORIZATION] = token, f"Bearer {token}"
        headers = self._usual.copy()
        if extra:
            headers.update(extra)
            self._mask(headers)
        if key:
            headers[IDEMPOTENCY_KEY] = key
        return headers

    def _mask(self, headers: CIMultiDict[str]) -> None:
        """Mask the secrets of extra headers, which a server may echo as it may echo the token."""
        for name, values in _SECRET_HEADERS.items():
            for header in headers.getall(name, ()):
                if header is not self._usual.get(name):
                    self._redactor.add(*values(header))


_SECRET_HEADERS = {AUTHORIZATION: authorization_values, COOKIE: cookie_values}


def _check(name: str, value: str) -> None:
    if not value.isprintable():
        message = f"{name} contains a line break or another character that is invalid in a header"
        raise PrefactorRequestError(message, name)
