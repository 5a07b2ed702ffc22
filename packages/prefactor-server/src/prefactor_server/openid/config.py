"""The configuration of OpenID Connect, read from the settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from prefactor_server.domain.errors import SettingError
from prefactor_server.domain.people.openid import RoleRule, read_role_rules

CALLBACK_PATH: Final = "/api/v1/session/openid/callback"
_OPENID: Final = "openid"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIdConfig:
    """The settings of the provider; see ``settings.SETTINGS``."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    public_url: str
    name: str
    scopes: str = "openid email"
    groups_claim: str = "groups"
    rules: Sequence[RoleRule] = ()
    trusts_emails: bool = False

    @property
    def redirect_uri(self) -> str:
        """The redirect URI, which must be registered with the provider."""
        return self.public_url.rstrip("/") + CALLBACK_PATH


def read_config(values: Mapping[str, str | bool], public_url: str) -> OpenIdConfig | None:
    """Return the configuration from the settings whose names begin with ``openid_``.

    Returns:
        None if no issuer is set.

    Raises:
        SettingError: something is missing or invalid. The message names the setting.
    """
    text = {name: value.strip() for name, value in values.items() if isinstance(value, str)}
    issuer = text["openid_issuer"]
    if not issuer:
        return None
    if not is_safe_url(issuer):
        raise SettingError(
            "openid_issuer must be an https:// URL (or http:// with a loopback address), got "
            f"{issuer!r}"
        )
    if not public_url:
        raise SettingError("openid_issuer needs public_url, the URL that the provider redirects to")
    if not text["openid_client_id"]:
        raise SettingError("openid_issuer needs openid_client_id, which the provider assigns")
    scopes = text["openid_scopes"].split()
    if _OPENID not in scopes:
        scopes = [_OPENID, *scopes]
    try:
        rules = read_role_rules(text["openid_roles"])
    except ValueError as error:
        raise SettingError(f"openid_roles: {error}") from error
    return OpenIdConfig(
        issuer=issuer,
        client_id=text["openid_client_id"],
        client_secret=_read_secret(text),
        public_url=public_url,
        name=text["openid_name"] or urlsplit(issuer).hostname or issuer,
        scopes=" ".join(scopes),
        groups_claim=text["openid_groups_claim"],
        rules=rules,
        trusts_emails=values["openid_trust_emails"] is True,
    )


def is_safe_url(url: str) -> bool:
    """Return whether secrets may be sent to a URL: over TLS, or within this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.query or parts.fragment or not host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read_secret(text: Mapping[str, str]) -> str:
    secret, path = text["openid_client_secret"], text["openid_client_secret_file"]
    if secret and path:
        raise SettingError("Set openid_client_secret or openid_client_secret_file, not both")
    if path:
        try:
            secret = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(
                f"openid_client_secret_file: {path} cannot be read: {error}"
            ) from error
    if not secret:
        raise SettingError(
            "openid_issuer needs a secret, in PREFACTOR_OPENID_CLIENT_SECRET or in the file "
            "openid_client_secret_file"
        )
    return secret
