"""Verifies the signature and the claims of ID tokens, as in OpenID Connect Core 3.1.3.7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, import_key

from prefactor_server.domain.people.openid import MAX_SUBJECT, OpenIdRefused

_CLOCK_SKEW_SECONDS: Final = 120
_KEY_TYPES: Final = ("RSA", "EC", "OKP")


def key_id(token: str) -> str | None:
    """Return the id of the key in a token's header."""
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError):
        return None
    kid = header.get("kid")
    return kid if isinstance(kid, str) else None


def check_id_token(
    token: str,
    keys: Mapping[str, Any],
    *,
    algorithms: Sequence[str],
    issuer: str,
    client_id: str,
    nonce: str,
    access_token: str | None,
    now: int,
) -> Mapping[str, Any]:
    """Return the claims of a token that the provider issued for this sign-in.

    ``now`` is in seconds.

    Raises:
        OpenIdRefused: it is invalid or expired, or was issued for another client or sign-in.
    """
    try:
        decoded = jwt.decode(token, _usable(keys), algorithms=list(algorithms))
        # Authlib has no types.
        claims: Any = CodeIDToken(
            decoded.claims,
            decoded.header,
            {
                "iss": {"essential": True, "value": issuer},
                "sub": {"essential": True},
                "aud": {"essential": True, "value": client_id},
            },
            {"client_id": client_id, "nonce": nonce, "access_token": access_token},
        )
        claims.validate(now=now, leeway=_CLOCK_SKEW_SECONDS)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise OpenIdRefused("provider", f"the ID token is not valid: {error}") from error
    subject = decoded.claims["sub"]
    if not subject or len(subject) > MAX_SUBJECT or not subject.isprintable():
        raise OpenIdRefused("provider", "the ID token has no usable subject")
    return decoded.claims


def _usable(keys: Mapping[str, Any]) -> KeySet:
    """Return the signing keys, without those of an unsupported type."""
    found = keys.get("keys")
    listed: list[Any] = cast("Any", found) if isinstance(found, list) else []
    usable: list[Key] = []
    for entry in listed:
        if not isinstance(entry, dict):
            continue
        key = cast("dict[str, Any]", entry)
        if key.get("kty") in _KEY_TYPES and key.get("use", "sig") == "sig":
            with suppress(JoseError, ValueError, TypeError, KeyError):
                usable.append(import_key(key))
    return KeySet(usable)
