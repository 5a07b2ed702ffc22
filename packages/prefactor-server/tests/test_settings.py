"""The table of settings: complete, and read from flags, then variables, then defaults."""

from dataclasses import fields
from typing import Any

import pytest

from prefactor_server.domain.errors import SettingError
from prefactor_server.settings import (
    SETTINGS,
    Setting,
    Settings,
    load_settings,
    misspelt_variables,
)

OTHER: dict[type, tuple[str, Any]] = {
    # Also what trusted_proxies takes.
    str: ("192.0.2.1", "192.0.2.1"),
    int: ("17", 17),
    bool: ("no", False),
}
NUMBERS = [setting for setting in SETTINGS if type(setting.default) is int]

# Settings that allow a few words: two of these.
CHOICES = {"otlp_keep": ("all", "agents")}
# Settings that do not allow every number: an allowed one.
ALLOWED = {"abandoned_after_minutes": 3}


def named(setting: Setting) -> str:
    """Name a test case after its setting."""
    return setting.name


def test_the_settings_are_the_rows_of_the_table() -> None:
    """The settings object has the fields of the table, in order and without duplicates."""
    assert [field.name for field in fields(Settings)] == [one.name for one in SETTINGS]


@pytest.mark.parametrize("setting", SETTINGS, ids=named)
def test_a_setting_is_explained(setting: Setting) -> None:
    """Each row has a default of a simple type and a help that is a sentence."""
    assert type(setting.default) in OTHER
    assert setting.help[0].isupper()
    assert setting.help.endswith(".")
    assert setting.variable == f"PREFACTOR_{setting.name.upper()}"


@pytest.mark.parametrize("setting", SETTINGS, ids=named)
def test_flags_beat_variables_beat_defaults(setting: Setting) -> None:
    """A setting comes from its flag, else from its variable, else from the table."""
    text, value = OTHER[type(setting.default)]
    flag = True if isinstance(setting.default, bool) else 1 if value == 17 else "192.0.2.2"
    flag = ALLOWED.get(setting.name, flag)
    if setting.name in CHOICES:
        text, flag = CHOICES[setting.name]
        value = text
    environ = {setting.variable: text}

    def loaded(environ: dict[str, str], flags: dict[str, Any]) -> Any:
        return getattr(load_settings(environ, flags), setting.name)

    assert loaded({}, {}) == setting.default
    assert loaded({}, {setting.name: None}) == setting.default
    assert loaded(environ, {}) == value
    assert loaded(environ, {setting.name: None}) == value
    assert loaded(environ, {setting.name: flag}) == flag
    assert type(loaded(environ, {})) is type(setting.default)


def test_a_false_flag_is_a_flag() -> None:
    """A flag set to no, or zero, counts as set."""
    environ = {"PREFACTOR_AUTO_CREATE_AGENTS": "true", "PREFACTOR_PORT": "80"}
    settings = load_settings(environ, {"auto_create_agents": False, "port": 0})

    assert (settings.auto_create_agents, settings.port) == (False, 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("TRUE", True), ("1", True), ("yes", True), ("False", False), ("0", False)],
)
def test_yes_and_no_have_several_spellings(text: str, value: bool) -> None:
    """Yes and no have the usual spellings, in any case."""
    assert load_settings({"PREFACTOR_AUTO_CREATE_AGENTS": text}, {}).auto_create_agents is value


@pytest.mark.parametrize("text", ["", "maybe", "2", "on fire"])
def test_an_invalid_flag_value(text: str) -> None:
    """A value that is neither yes nor no is refused, and the error names the variable."""
    with pytest.raises(SettingError, match="PREFACTOR_AUTO_CREATE_AGENTS must be true or false"):
        load_settings({"PREFACTOR_AUTO_CREATE_AGENTS": text}, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "many",
        "1.5",
        "1e3",
        "inf",
        "0x10",
        "1_0",
        "+5",
        " 5",
        "5 ",
        "5\n",
        "٣",
        "\uff19",
        "9" * 5000,
    ],
)
@pytest.mark.parametrize("setting", NUMBERS, ids=named)
def test_an_invalid_number(setting: Setting, text: str) -> None:
    """An unreadable number is refused, and the error names the variable."""
    with pytest.raises(SettingError, match=f"{setting.variable} must be a whole number"):
        load_settings({setting.variable: text}, {})


@pytest.mark.parametrize("setting", NUMBERS, ids=named)
def test_a_number_below_zero(setting: Setting) -> None:
    """A negative number is refused, and the error names its source."""
    flag = f"--{setting.name.replace('_', '-')}"
    with pytest.raises(SettingError, match=rf"{setting.variable} must be [01] to \d+, got -1"):
        load_settings({setting.variable: "-1"}, {})
    with pytest.raises(SettingError, match=rf"{flag} must be [01] to \d+, got -1"):
        load_settings({}, {setting.name: -1})


@pytest.mark.parametrize(
    ("name", "most"),
    [("port", 65_535), ("token_cache_seconds", 86_400), ("idempotency_days", 36_500)],
)
def test_a_number_that_is_too_large(name: str, most: int) -> None:
    """An impossible port and times beyond any clock are refused."""
    variable = f"PREFACTOR_{name.upper()}"

    assert getattr(load_settings({variable: str(most)}, {}), name) == most
    with pytest.raises(SettingError, match=rf"{variable} must be \d to {most}, got {most + 1}"):
        load_settings({variable: str(most + 1)}, {})


@pytest.mark.parametrize("setting", NUMBERS, ids=named)
def test_every_number_has_a_maximum(setting: Setting) -> None:
    """Every setting has a maximum, so that none fails where it is used."""
    with pytest.raises(SettingError, match=rf"{setting.variable} must be \d to \d+, got"):
        load_settings({setting.variable: str(2**62 + 1)}, {})


@pytest.mark.parametrize(
    "name", ["max_request_bytes", "max_payload_bytes", "max_queue_bytes", "partition_days"]
)
def test_zero_is_refused_for_limits(name: str) -> None:
    """A limit of zero bytes or days is refused, because it would refuse everything."""
    with pytest.raises(SettingError, match=r"must be 1 to \d+, got 0"):
        load_settings({}, {name: 0})


def test_a_secret_is_not_shown() -> None:
    """A printed list of settings shows that a secret is set, and not its value."""
    shown = repr(load_settings({"PREFACTOR_BOOTSTRAP_TOKEN": "the-secret-itself"}, {}))

    assert "the-secret-itself" not in shown
    assert "bootstrap_token='...'" in shown
    assert "bootstrap_token=''" in repr(load_settings({}, {}))
    assert "port=8585" in shown


def test_other_variables_are_ignored() -> None:
    """The client's variables, and those without the prefix, set nothing."""
    environ = {"PREFACTOR_API_URL": "http://x", "PORT": "1", "prefactor_port": "2"}

    assert load_settings(environ, {}) == load_settings({}, {})


def test_a_misspelt_variable_is_found() -> None:
    """Variables that resemble a setting's are found with it; the client's resemble none."""
    settings = {setting.variable: "1" for setting in SETTINGS}
    others = ["API_URL", "API_TOKEN", "REQUEST_TIMEOUT", "MAX_PAYLOAD_SIZE", "MAX_RESPONSE_BYTES"]
    wrong = ["DATABASE_URL", "ABANDON_AFTER_MINUTES", "TRUSTED_PROXY", "RETENTION_INTERVAL"]
    environ = {"PORT": "1", **settings} | {f"PREFACTOR_{name}": "1" for name in others + wrong}

    assert misspelt_variables(environ) == {
        "PREFACTOR_DATABASE_URL": "PREFACTOR_DATABASE",
        "PREFACTOR_ABANDON_AFTER_MINUTES": "PREFACTOR_ABANDONED_AFTER_MINUTES",
        "PREFACTOR_TRUSTED_PROXY": "PREFACTOR_TRUSTED_PROXIES",
        "PREFACTOR_RETENTION_INTERVAL": "PREFACTOR_RETENTION_INTERVAL_SECONDS",
    }


@pytest.mark.parametrize("text", ["localhost", "10.0.0.0/8, nobody", "10.0.0.1/8"])
def test_a_proxy_is_an_address_or_a_network(text: str) -> None:
    """A proxy that is neither an address nor a network is refused by name at the start."""
    with pytest.raises(SettingError, match="PREFACTOR_TRUSTED_PROXIES must be addresses"):
        load_settings({"PREFACTOR_TRUSTED_PROXIES": text}, {})
