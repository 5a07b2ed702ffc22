"""A request's client: its address, its session's cookie, and the page that it comes from.

A browser sends a cookie with every request to the server, even if a page of another site makes it.
A write with a cookie must therefore come from a page of this server. That is checked by the headers
``Origin`` and ``Sec-Fetch-Site``, which no page can set, and ``X-Prefactor-Request``, which a page
of another site cannot send without a preflight request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.types import Scope

from prefactor_server.domain.client_address import TrustedProxies
from prefactor_server.domain.errors import BadRequest, NotPermitted
from prefactor_server.domain.people.session import MAX_DESCRIPTION

REQUEST_HEADER: Final = "X-Prefactor-Request"
_COOKIE: Final = "prefactor_session"
_ATTEMPT_COOKIE: Final = "prefactor_openid"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SAME_SITE: Final = ("same-origin", "none")


class ClientConnection:
    """The client of one request. Headers are parsed on access."""

    __slots__ = ("_proxies", "_public_url", "_scope")

    def __init__(self, scope: Scope, proxies: TrustedProxies, public_url: str) -> None:
        self._scope = scope
        self._proxies = proxies
        self._public_url = public_url

    @property
    def address(self) -> str:
        """The client's address, as reported by trusted proxies."""
        return self._proxies.client_address(self._peer, ",".join(self._values("x-forwarded-for")))

    @property
    def is_secure(self) -> bool:
        """Whether the client's own connection is TLS."""
        if self._public_url:
            return self._public_url.lower().startswith("https:")
        forwarded = ",".join(self._values("x-forwarded-proto"))
        return self._proxies.trusts(self._peer) and forwarded.rpartition(",")[2].strip() == "https"

    @property
    def user_agent(self) -> str:
        """The User-Agent, truncated, without unprintable characters."""
        text = " ".join(self._values("user-agent"))[:MAX_DESCRIPTION]
        return "".join(one if one.isprintable() else " " for one in text)

    def session_cookie(self) -> str | None:
        """Return the value of the session's cookie, or None.

        Raises:
            BadRequest: there are two with different values.
        """
        return self._cookie(_COOKIE)

    def set_cookie(self, value: str, seconds: int) -> tuple[bytes, bytes]:
        """Return the header that sets the session's cookie, or deletes it if ``seconds`` is 0."""
        return self._set_cookie(_COOKIE, value, seconds, "Strict")

    def attempt_cookie(self) -> str | None:
        """Return the value of the cookie of a sign-in attempt with a provider, or None.

        Raises:
            BadRequest: there are two with different values.
        """
        return self._cookie(_ATTEMPT_COOKIE)

    def set_attempt_cookie(self, value: str, seconds: int) -> tuple[bytes, bytes]:
        """Return the header that sets the attempt's cookie, or deletes it if ``seconds`` is 0.

        It is not SameSite=Strict, because the provider redirects the browser back with it.
        """
        return self._set_cookie(_ATTEMPT_COOKIE, value, seconds, "Lax")

    def check_origin(self) -> None:
        """Reject a write from a page of another site.

        Raises:
            NotPermitted: ``Origin`` or ``Sec-Fetch-Site`` says so.
        """
        for origin in self._values("origin"):
            if not self._is_own(origin):
                expected = self._public_url or "the address of this server"
                raise NotPermitted(
                    f"A page of {origin[:200]} may not write, only a page of {expected} may: "
                    "set public_url to the URL at which people open this server"
                )
        for site in self._values("sec-fetch-site"):
            if site not in _SAME_SITE:
                raise NotPermitted("A page of another site may not write (Sec-Fetch-Site)")

    def check_request_header(self) -> None:
        """Reject a write with a cookie but without the header that the pages send.

        Raises:
            NotPermitted: the header is missing.
        """
        if "1" not in self._values(REQUEST_HEADER.lower()):
            raise NotPermitted(f"A write with a session needs the header {REQUEST_HEADER}: 1")

    def _is_own(self, origin: str) -> bool:
        if self._public_url:
            return _origin(origin) == _origin(self._public_url) is not None
        # A proxy that terminates TLS changes the scheme, and usually not the host.
        host = origin.partition("://")[2]
        return bool(host) and [host] == self._values("host")

    def _cookie(self, name: str) -> str | None:
        full_name = self._prefix + name
        found = {value for cookie, value in self._cookies() if cookie == full_name}
        if len(found) > 1:
            raise BadRequest(f"Duplicate cookie {full_name}: delete the cookies of this site")
        return found.pop() if found else None

    def _set_cookie(
        self, name: str, value: str, seconds: int, same_site: str
    ) -> tuple[bytes, bytes]:
        secure = "; Secure" if self.is_secure else ""
        text = (
            f"{self._prefix}{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; "
            f"SameSite={same_site}{secure}"
        )
        return b"set-cookie", text.encode()

    @property
    def _prefix(self) -> str:
        # Browsers accept such a cookie only if it is Secure, and only for this host.
        return "__Host-" if self.is_secure else ""

    @property
    def _peer(self) -> str:
        client: Sequence[str] | None = self._scope.get("client")
        return client[0] if client else ""

    def _values(self, name: str) -> list[str]:
        encoded_name = name.encode()
        return [
            value.decode("latin-1").strip()
            for header, value in self._scope["headers"]
            if header == encoded_name
        ]

    def _cookies(self) -> Iterator[tuple[str, str]]:
        for header in self._values("cookie"):
            for part in header.split(";"):
                name, _, value = part.partition("=")
                yield name.strip(), value.strip()


def _origin(url: str) -> tuple[str, str, int | None] | None:
    """Return the scheme, the host and the port of a URL, or None if it has no valid host."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None
