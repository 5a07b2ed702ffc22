"""The settings of OpenID Connect: which are required, and which stay secret."""

from pathlib import Path

import pytest

from prefactor_server.domain.errors import SettingError
from prefactor_server.domain.people.openid import Identity, read_role_rules, role_by_rules
from prefactor_server.openid import OpenIdConfig, read_config
from prefactor_server.settings import load_settings, shown_settings

GIVEN = {
    "PREFACTOR_PUBLIC_URL": "https://prefactor.example.com",
    "PREFACTOR_OPENID_ISSUER": "https://login.example.com",
    "PREFACTOR_OPENID_CLIENT_ID": "prefactor",
    "PREFACTOR_OPENID_CLIENT_SECRET": "wombat-4711",
}


def config(**changes: str) -> OpenIdConfig | None:
    """Return the configuration from the variables above, with some changed."""
    environ = GIVEN | {f"PREFACTOR_{name.upper()}": value for name, value in changes.items()}
    settings = load_settings(environ, {})
    return read_config(settings.openid, settings.public_url)


def test_a_provider_is_read(tmp_path: Path) -> None:
    """The secret may be in a file, and missing settings have defaults."""
    path = tmp_path / "secret"
    path.write_text("from-a-file\n", encoding="utf-8")

    found = config(openid_client_secret="", openid_client_secret_file=str(path))

    assert found is not None
    assert found.client_secret == "from-a-file"
    assert found.name == "login.example.com"
    assert found.redirect_uri == "https://prefactor.example.com/api/v1/session/openid/callback"
    assert config(openid_issuer="") is None
    with_groups = config(openid_scopes="groups")
    assert with_groups is not None
    assert with_groups.scopes == "openid groups"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"openid_issuer": "http://login.example.com"}, "openid_issuer must be"),
        ({"openid_issuer": "login.example.com"}, "openid_issuer must be"),
        ({"public_url": ""}, "public_url"),
        ({"openid_client_id": ""}, "openid_client_id"),
        ({"openid_client_secret": ""}, "PREFACTOR_OPENID_CLIENT_SECRET"),
        ({"openid_client_secret_file": "/nowhere"}, "not both"),
        ({"openid_client_secret": "", "openid_client_secret_file": "/nowhere"}, "cannot be read"),
        ({"openid_roles": "@example.org=owner"}, "openid_roles: '@example.org=owner'"),
        ({"openid_roles": "example.org=viewer"}, "openid_roles"),
    ],
)
def test_an_unusable_provider_is_named(changes: dict[str, str], named: str) -> None:
    """A server does not start with an unusable provider."""
    with pytest.raises(SettingError) as raised:
        config(**changes)

    assert named in raised.value.message


def test_secrets_are_never_shown() -> None:
    """Neither the list of settings nor the log contains the secret."""
    settings = load_settings(GIVEN, {})

    shown = [repr(settings), repr(config()), str(shown_settings(GIVEN, {}))]

    assert not any("wombat" in text for text in shown)


@pytest.mark.parametrize(
    ("email", "groups", "role"),
    [
        ("a@Example.ORG", (), "viewer"),
        ("a@sub.example.org", (), None),
        ("example.org@example.com", (), None),
        (None, ("ops",), "admin"),
        ("a@example.org", ("staff", "ops"), "admin"),
        ("a@example.org", ("Ops",), "viewer"),
    ],
)
def test_the_highest_role_counts(
    email: str | None, groups: tuple[str, ...], role: str | None
) -> None:
    """Domains match whole and in any case; groups match exactly."""
    rules = read_role_rules(" @example.org = viewer, group:staff=member,group:ops=admin ")

    assert role_by_rules(rules, Identity("i", "s", email, groups)) == role
