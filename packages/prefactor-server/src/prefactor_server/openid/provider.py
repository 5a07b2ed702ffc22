"""The provider: its discovery document and the two steps of a sign-in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple, cast
from urllib.parse import quote_plus, urlencode

from prefactor_server.domain.people.admin_user_invite import is_email
from prefactor_server.domain.people.openid import Identity, OpenIdRefused
from prefactor_server.domain.people.openid_attempt import Attempt, attempt_key
from prefactor_server.domain.times import HOUR_US, SECOND_US
from prefactor_server.openid.config import OpenIdConfig, is_safe_url
from prefactor_server.openid.fetch import fetch_json, preload

_METADATA_US: Final = HOUR_US
# Keys change rarely. A token with an unknown key causes another fetch, at a limited rate.
_KEYS_US: Final = HOUR_US
_KEYS_AGAIN_US: Final = 30 * SECOND_US
_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_FAILURE_US: Final = 5 * SECOND_US
# Asymmetric only, because anyone with the client's secret can make a symmetric signature.
_ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
_MAX_GROUPS: Final = 1000
_EMAIL: Final = ("email", "email_verified")


class _Endpoints(NamedTuple):
    authorization: str
    token: str
    keys: str
    userinfo: str | None
    algorithms: Sequence[str]
    takes_basic: bool
    names_itself: bool
    """Whether its responses name the issuer (RFC 9207)."""


class _Cached(NamedTuple):
    value: Mapping[str, Any]
    read_at: int


class Provider:
    """One provider. Its metadata is cached for an hour."""

    def __init__(self, config: OpenIdConfig, now_us: Callable[[], int]) -> None:
        self.config = config
        self.key: bytes = attempt_key(config.client_secret)
        self._now_us = now_us
        self._described: _Endpoints | None = None
        self._described_at = 0
        self._keys: _Cached | None = None
        self._failure: OpenIdRefused | None = None
        self._failed_at = 0
        # One request at a time, whose response serves all waiting sign-ins.
        self._reading = asyncio.Lock()
        # Done at startup, because it takes a while and would block requests later.
        preload()
        import_module("prefactor_server.openid.id_token")

    async def authorization_url(self, attempt: Attempt) -> str:
        """Return the URL to send the browser to.

        Raises:
            OpenIdRefused: the provider cannot be reached, or its metadata is not valid.
        """
        endpoints = await self._endpoints()
        query = {
            "response_type": "code",
            "client_id": self.config.client_id,
            "redirect_uri": self.config.redirect_uri,
            "scope": self.config.scopes,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in endpoints.authorization else "?"
        return f"{endpoints.authorization}{joint}{urlencode(query)}"

    async def identify(self, attempt: Attempt, code: str, issuer: str | None) -> Identity:
        """Return the identity that the code of a callback stands for.

        ``issuer`` is the issuer that the callback names.

        Raises:
            OpenIdRefused: the code or the provider's response is not valid.
        """
        endpoints = await self._endpoints()
        # The response of one provider must not be accepted for another ("mix-up attack").
        if issuer != self.config.issuer and (issuer is not None or endpoints.names_itself):
            raise OpenIdRefused("provider", f"the response names the issuer {issuer!r}")
        answer = await self._exchange(endpoints, attempt, code)
        id_token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str):
            raise OpenIdRefused("provider", "the response has no ID token")
        bearer = access_token if isinstance(access_token, str) else None
        claims = await self._check(endpoints, id_token, attempt.nonce, bearer)
        if bearer is not None and endpoints.userinfo is not None and self._lacks(claims):
            more = await self._userinfo(endpoints.userinfo, bearer, claims["sub"])
            claims = _completed(claims, more)
        return self._identity(claims)

    async def _exchange(
        self, endpoints: _Endpoints, attempt: Attempt, code: str
    ) -> Mapping[str, Any]:
        config = self.config
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": config.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        if endpoints.takes_basic:
            basic = (quote_plus(config.client_id), quote_plus(config.client_secret))
            return await fetch_json(endpoints.token, form, basic=basic)
        secrets = {"client_id": config.client_id, "client_secret": config.client_secret}
        return await fetch_json(endpoints.token, form | secrets)

    async def _check(
        self, endpoints: _Endpoints, id_token: str, nonce: str, access_token: str | None
    ) -> Mapping[str, Any]:
        # Imported on use: a server without a provider needs no cryptography.
        from prefactor_server.openid.id_token import check_id_token, key_id  # noqa: PLC0415

        keys = await self._key_set(endpoints.keys, key_id(id_token))
        return check_id_token(
            id_token,
            keys,
            algorithms=endpoints.algorithms,
            issuer=self.config.issuer,
            client_id=self.config.client_id,
            nonce=nonce,
            access_token=access_token,
            now=self._now_us() // SECOND_US,
        )

    def _lacks(self, claims: Mapping[str, Any]) -> bool:
        by_group = any(rule.group is not None for rule in self.config.rules)
        by_email = "email" not in claims or "email_verified" not in claims
        return by_email or (by_group and self.config.groups_claim not in claims)

    async def _userinfo(self, url: str, access_token: str, subject: str) -> Mapping[str, Any]:
        found = await fetch_json(url, bearer=access_token)
        if found.get("sub") != subject:
            raise OpenIdRefused("provider", f"{url} responds with another subject")
        return found

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        email, verified = claims.get("email"), claims.get("email_verified")
        # Some send a string. A missing claim counts as verified if the operator trusts e-mails.
        is_verified = verified in (True, "true") or (verified is None and self.config.trusts_emails)
        if not is_verified or not isinstance(email, str) or not is_email(email):
            email = None
        groups = claims.get(self.config.groups_claim)
        if isinstance(groups, str):
            groups = [groups]
        listed: list[Any] = cast("Any", groups) if isinstance(groups, list) else []
        names = frozenset(one for one in listed[:_MAX_GROUPS] if isinstance(one, str))
        return Identity(self.config.issuer, claims["sub"], email, names)

    async def _endpoints(self) -> _Endpoints:
        async with self._reading:
            now = self._now_us()
            if self._described is not None and now - self._described_at < _METADATA_US:
                return self._described
            # While the provider is down, waiting sign-ins share an error instead of a request each.
            if self._failure is not None and now - self._failed_at < _FAILURE_US:
                raise OpenIdRefused(self._failure.reason, self._failure.detail)
            try:
                self._described = await self._discover()
            except OpenIdRefused as refused:
                self._failure, self._failed_at = refused, self._now_us()
                raise
            self._described_at = now
            return self._described

    async def _discover(self) -> _Endpoints:
        url = self.config.issuer.rstrip("/") + _WELL_KNOWN
        found = await fetch_json(url)
        if found.get("issuer") != self.config.issuer:
            raise OpenIdRefused("provider", f"{url} names the issuer {found.get('issuer')!r}")
        return _read_endpoints(found)

    async def _key_set(self, url: str, kid: str | None) -> Mapping[str, Any]:
        async with self._reading:
            now, cached = self._now_us(), self._keys
            if cached is not None:
                age = now - cached.read_at
                if age < (_KEYS_US if kid in _key_ids(cached.value) else _KEYS_AGAIN_US):
                    return cached.value
            self._keys = _Cached(await fetch_json(url), now)
            return self._keys.value


def _completed(claims: Mapping[str, Any], more: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add the claims that are missing from the signed ID token.

    The e-mail and its verification belong together, so both come from the same source.
    """
    if "email" in claims and ("email_verified" in claims or "email" not in more):
        more = {name: value for name, value in more.items() if name not in _EMAIL}
    elif "email" in more:
        claims = {name: value for name, value in claims.items() if name not in _EMAIL}
    return {**more, **claims}


def _read_endpoints(metadata: Mapping[str, Any]) -> _Endpoints:
    methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    offered = metadata.get("id_token_signing_alg_values_supported", ["RS256"])
    userinfo = metadata.get("userinfo_endpoint")
    return _Endpoints(
        _url(metadata, "authorization_endpoint"),
        _url(metadata, "token_endpoint"),
        _url(metadata, "jwks_uri"),
        None if userinfo is None else _url(metadata, "userinfo_endpoint"),
        [one for one in _ALGORITHMS if isinstance(offered, list) and one in offered],
        not isinstance(methods, list) or "client_secret_basic" in methods,
        metadata.get("authorization_response_iss_parameter_supported") is True,
    )


def _url(metadata: Mapping[str, Any], name: str) -> str:
    url = metadata.get(name)
    if not isinstance(url, str) or not is_safe_url(url.partition("?")[0]):
        raise OpenIdRefused("provider", f"its {name} must be an https:// URL, got {url!r}")
    return url


def _key_ids(keys: Mapping[str, Any]) -> set[Any]:
    found = keys.get("keys")
    listed: list[Any] = cast("Any", found) if isinstance(found, list) else []
    return {
        key["kid"]
        for key in listed
        if isinstance(key, dict) and isinstance(cast("dict[str, Any]", key).get("kid"), str)
    }
