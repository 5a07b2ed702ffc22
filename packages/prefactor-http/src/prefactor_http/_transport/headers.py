"""The headers of a request: token, SDK, content type and idempotency key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multidict import CIMultiDict, istr

from prefactor_http._idempotency import check_key
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
        redactor: Masks the token.

    Raises:
        PrefactorRequestError: The token or `sdk` cannot be sent in a header.
    """

    __slots__ = ("_cookie", "_sdk", "_token", "_usual", "redactor")

    def __init__(self, token: str, sdk: str | None, redactor: Redactor) -> None:
        """Validate both values."""
        sdk = sdk or f"{PACKAGE_NAME}@{PACKAGE_VERSION}"
        _check("api_token", token)
        _check("sdk_header", sdk)
        self._token: str = token
        self._sdk = sdk
        self.redactor = redactor
        """Masks the secrets of the usual headers."""
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
        # A server may echo the cookie as it may echo the token.
        redactor = self.redactor.including(*cookie_values(cookie))
        headers = Headers(self._token, self._sdk, redactor)
        headers._cookie = cookie
        del headers._usual[AUTHORIZATION]
        headers._usual[COOKIE] = cookie
        # The server requires this of every write with a cookie.
        headers._usual[REQUEST_MARK] = "1"
        return headers

    def of(
        self, token: str, key: str | None, extra: Mapping[str, str] | None
    ) -> tuple[CIMultiDict[str], Redactor]:
        """Return the headers of one request, and what masks the secrets in them.

        Args:
            token: The current token, because a configuration may be given a new one.
            key: The idempotency key.
            extra: Headers that override the client's, except for the key.

        Raises:
            PrefactorRequestError: The key cannot be sent in a header.
        """
        if token is not self._token and self._cookie is None:
            self.redactor = self.redactor.including(token)
            self._token = token
            self._usual[AUTHORIZATION] = f"Bearer {token}"
        headers, redactor = self._usual.copy(), self.redactor
        if extra:
            headers.update(extra)
            # A server may echo the secrets of extra headers as it may echo the token.
            redactor = redactor.including(
                *(
                    secret
                    for name, values in _SECRET_HEADERS.items()
                    for header in headers.getall(name, ())
                    if header is not self._usual.get(name)
                    for secret in values(header)
                )
            )
        if key:
            check_key(key)
            headers[IDEMPOTENCY_KEY] = key
        return headers, redactor


_SECRET_HEADERS = {AUTHORIZATION: authorization_values, COOKIE: cookie_values}


def _check(name: str, value: str) -> None:
    if not value.isprintable():
        message = f"{name} contains a line break or another character that is invalid in a header"
        raise PrefactorRequestError(message, name)
