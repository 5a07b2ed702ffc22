"""A person whose browser signs in with an OpenID Connect provider."""

import dataclasses
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from api_client import LIMITS, Answer, ApiClient, Clock, open_api_client
from openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider
from people import WRITE, Browser, anonymous

from prefactor_server.domain.people.openid import read_role_rules
from prefactor_server.openid import OpenIdConfig

PUBLIC_URL = "https://prefactor.test/below"
COOKIE = "__Host-prefactor_openid"
SESSION = "__Host-prefactor_session"


@dataclass
class SignIn:
    """A person with a browser, between this server and the provider."""

    api_client: ApiClient
    provider: OpenIdProvider
    cookies: dict[str, str] = field(default_factory=dict[str, str])

    async def start(self, **fields: Any) -> Answer:
        """Press the button."""
        return self._kept(
            await anonymous(
                self.api_client, "POST", "/session/openid", fields, self._headers(WRITE)
            )
        )

    async def at_provider(self, started: Answer) -> dict[str, str]:
        """Go to the provider, and return what it sends the browser back with."""
        url = started.details["authorization_url"]
        async with self.api_client.session.get(url, allow_redirects=False) as response:
            location = response.headers["Location"]
        assert location.startswith(f"{PUBLIC_URL}/api/v1/session/openid/callback?")
        return dict(parse_qsl(urlsplit(location).query))

    async def come_back(self, answer: Mapping[str, str]) -> str:
        """Return the page that the browser is redirected to, without the server's address."""
        url = f"{self.api_client.url}/api/v1/session/openid/callback"
        async with self.api_client.session.get(
            url, params=answer, headers=self._headers(), allow_redirects=False
        ) as response:
            assert response.status == 303, await response.text()
            self._kept(Answer(303, response.headers, ""))
            base, _, page = response.headers["Location"].partition("/#")
        assert base == PUBLIC_URL
        return f"#{page}"

    async def through(self, **fields: Any) -> str:
        """Complete the whole sign-in."""
        return await self.come_back(await self.at_provider(await self.start(**fields)))

    async def me(self) -> Any:
        """Return the person that the server reports as the caller."""
        return await self._browser().get("/session")

    def _browser(self) -> Browser:
        return Browser(self.api_client, self.cookies.get(SESSION, ""), name=SESSION)

    def _headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        text = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": text, **(more or {})}

    def _kept(self, answer: Answer) -> Answer:
        for header in answer.headers.getall("Set-Cookie", []):  # type: ignore[attr-defined]
            name, _, value = header.partition(";")[0].partition("=")
            assert "Secure" in header
            assert "HttpOnly" in header
            self.cookies[name] = value
            if not value:
                del self.cookies[name]
        return answer


def open_openid_server(
    database: str, provider: OpenIdProvider, rules: str, clock: Clock
) -> AbstractAsyncContextManager[ApiClient]:
    """A server that knows the provider, with rules for roles."""
    limits = dataclasses.replace(LIMITS, public_url=PUBLIC_URL)
    return open_api_client(
        database, limits=limits, openid=openid_config(provider, rules), clock=clock
    )


def openid_config(op: OpenIdProvider, rules: str) -> OpenIdConfig:
    """The settings for the provider."""
    return OpenIdConfig(
        issuer=op.issuer,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        public_url=PUBLIC_URL,
        name="Example",
        rules=read_role_rules(rules),
    )
