"""A small OpenID Connect provider on a loopback address, which can misbehave on request."""

import base64
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus, urlencode

from aiohttp import web
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

CLIENT_ID = "prefactor"
CLIENT_SECRET = "a secret of the client: 100%"


def new_key() -> ECKey:
    """A signing key with an id."""
    return ECKey.generate_key("P-256", auto_kid=True)


@dataclass
class OpenIdProvider:
    """One provider, and who is signed in there.

    Tests set these: ``claims`` override those of ID tokens, and None omits one; ``userinfo`` is
    added to that endpoint's answer; ``metadata`` and ``answer`` change the discovery document and
    the answer to the browser.
    """

    issuer: str
    now_us: Callable[[], int]
    subject: str = "subject-1"
    email: str = "name@example.org"
    claims: dict[str, Any] = field(default_factory=dict[str, Any])
    userinfo: dict[str, Any] = field(default_factory=dict[str, Any])
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    answer: dict[str, str] = field(default_factory=dict[str, str])
    key: ECKey = field(default_factory=new_key)
    signs_with: ECKey | None = None
    is_down: bool = False
    asked: list[str] = field(default_factory=list[str])
    codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def application(self) -> web.Application:
        """The provider as an application."""
        app = web.Application(middlewares=[self._note])
        app.router.add_get("/.well-known/openid-configuration", self._describe)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._exchange)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/userinfo", self._tell)
        return app

    @web.middleware
    async def _note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.is_down:
            return web.Response(status=502, text="down")
        response: web.StreamResponse = await handler(request)
        return response

    async def _describe(self, request: web.Request) -> web.Response:
        del request
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "id_token_signing_alg_values_supported": ["ES256"],
        }
        return web.json_response(document | self.metadata)

    async def _authorize(self, request: web.Request) -> web.Response:
        """Sign in the current user without asking."""
        asked = dict(request.query)
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        answer = {"code": code, "state": asked["state"], "session_state": "x"} | self.answer
        location = f"{asked['redirect_uri']}?{urlencode(answer)}"
        return web.Response(status=302, headers={"Location": location})

    async def _exchange(self, request: web.Request) -> web.Response:
        given = await request.post()
        scheme, _, proof = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            name, _, secret = base64.b64decode(proof).decode().partition(":")
            credentials = unquote_plus(name), unquote_plus(secret)
        else:
            credentials = str(given.get("client_id")), str(given.get("client_secret"))
        asked = self.codes.pop(str(given["code"]), None)
        challenge = create_s256_code_challenge(str(given["code_verifier"]))
        if credentials != (CLIENT_ID, CLIENT_SECRET):
            return web.json_response({"error": "invalid_client"}, status=401)
        if asked is None or asked["code_challenge"] != challenge:
            return web.json_response({"error": "invalid_grant"}, status=400)
        if asked["redirect_uri"] != given["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        token = self.id_token(asked["nonce"])
        return web.json_response(
            {"access_token": "access", "token_type": "Bearer", "id_token": token}
        )

    def id_token(self, nonce: str) -> str:
        """Return a signed token for the current user."""
        now = self.now_us() // 1_000_000
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "email": self.email,
            "email_verified": True,
        }
        claims = {
            name: value for name, value in (claims | self.claims).items() if value is not None
        }
        key = self.signs_with or self.key
        return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)

    async def _keys(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(KeySet([self.key]).as_dict(private=False))

    async def _tell(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer access"
        return web.json_response({"sub": self.subject} | self.userinfo)


@asynccontextmanager
async def running_provider(now_us: Callable[[], int]) -> AsyncGenerator[OpenIdProvider]:
    """A provider that listens on a loopback address."""
    provider = OpenIdProvider("", now_us)
    runner = web.AppRunner(provider.application())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        provider.issuer = f"http://{host}:{port}"
        yield provider
    finally:
        await runner.cleanup()
