"""The server's settings, in one table for the command line, the documentation and the tests.

A setting comes from its flag, else from its ``PREFACTOR_*`` variable, else from its default.
Secrets have no flag, because the process list shows flags.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from prefactor_server.domain.client_address import TrustedProxies
from prefactor_server.domain.errors import SettingError
from prefactor_server.domain.runs.webhooks.target import AllowedNetworks
from prefactor_server.settings.table import (
    GROUPS,
    LEAST_ABANDONED_MINUTES,
    OTLP_KEEP,
    SECRETS,
    SETTINGS,
    Setting,
    Value,
)

__all__ = [
    "GROUPS",
    "SECRETS",
    "SETTINGS",
    "Setting",
    "Settings",
    "Value",
    "check_range",
    "load_settings",
    "misspelt_variables",
    "parse_whole_number",
    "shown_settings",
]

_PREFIX: Final = "PREFACTOR_"
_LIKENESS: Final = 0.8
# Larger numbers are meaningless (a port) or overflow (a duration).
_MAXIMA: Final = {
    "port": 65_535,
    "token_cache_seconds": 86_400,
    "idempotency_days": 36_500,
    "partition_days": 366,
    "requests_per_second": 1_000_000,
    "drain_seconds": 600,
    "request_timeout_seconds": 86_400,
    "send_timeout_seconds": 86_400,
    "max_connections": 1_000_000,
    "max_event_streams": 1_000_000,
    "max_event_streams_per_account": 1_000_000,
    "event_stream_seconds": 86_400,
    "session_idle_seconds": 366 * 86_400,
    "session_max_seconds": 366 * 86_400,
    "otlp_idle_minutes": 366 * 24 * 60,
    "webhook_timeout_seconds": 60,
    "retention_interval_seconds": 7 * 86_400,
    "webhook_days": 36_500,
    # Uptime is stored for a month.
    "abandoned_after_minutes": 20 * 24 * 60,
    "abandon_end_after_minutes": 20 * 24 * 60,
    "silent_after_days": 366,
}

# For these, 0 does not mean "unlimited": it would reject everything, or delete at once.
_AT_LEAST_ONE: Final = frozenset(
    {
        "max_request_bytes",
        "max_payload_bytes",
        "max_queue_bytes",
        "idempotency_days",
        "partition_days",
        "session_idle_seconds",
        "session_max_seconds",
        "otlp_idle_minutes",
        "webhook_timeout_seconds",
        "webhook_days",
    }
)
# Both are read in the same way.
_NETWORKS: Final = frozenset({"trusted_proxies", "webhook_networks"})
_LARGEST: Final = 2**62
_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force. Each field is a row of SETTINGS."""

    database: str
    read_database: str
    host: str
    port: int
    ready_file: str
    bootstrap_token: str
    auto_create_agents: bool
    max_request_bytes: int
    max_payload_bytes: int
    max_queue_bytes: int
    max_buffered_bytes: int
    token_cache_seconds: int
    idempotency_days: int
    partition_days: int
    min_free_disk_bytes: int
    requests_per_second: int
    metrics: bool
    log_requests: bool
    slow_request_ms: int
    request_timeout_seconds: int
    send_timeout_seconds: int
    max_connections: int
    max_event_streams: int
    max_event_streams_per_account: int
    event_stream_seconds: int
    public_url: str
    trusted_proxies: str
    session_idle_seconds: int
    session_max_seconds: int
    otlp_keep: str
    otlp_idle_minutes: int
    abandoned_after_minutes: int
    abandon_end_after_minutes: int
    silent_after_days: int
    price_file: str
    secret_key: str
    webhook_networks: str
    webhook_timeout_seconds: int
    retention_interval_seconds: int
    webhook_days: int
    openid_issuer: str
    openid_client_id: str
    openid_client_secret: str
    openid_client_secret_file: str
    openid_name: str
    openid_scopes: str
    openid_roles: str
    openid_groups_claim: str
    openid_trust_emails: bool
    drain_seconds: int

    @property
    def silence(self) -> tuple[int, int, int]:
        """Minutes until a silent run is abandoned, minutes until it then ends, and silent days."""
        marked, ended = self.abandoned_after_minutes, self.abandon_end_after_minutes
        return marked, ended, self.silent_after_days

    @property
    def openid(self) -> Mapping[str, str | bool]:
        """The settings of OpenID Connect by name."""
        names = (one.name for one in SETTINGS if one.name.startswith("openid_"))
        return {name: getattr(self, name) for name in names}

    @property
    def proxies(self) -> TrustedProxies:
        """The trusted proxies, which ``load_settings`` has validated."""
        return TrustedProxies.parse(self.trusted_proxies)

    @property
    def private_networks(self) -> AllowedNetworks:
        """The private networks that webhooks may reach, which ``load_settings`` has validated."""
        return AllowedNetworks.parse(self.webhook_networks)

    def __repr__(self) -> str:
        """Show all fields except the secret ones."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {name: "..." for name in SECRETS if values[name]}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in values.items())})"


def load_settings(environ: Mapping[str, str], flags: Mapping[str, Value | None]) -> Settings:
    """Return the settings from flags and variables. A flag of None was not given.

    Raises:
        SettingError: a value has the wrong type or is out of range.
    """
    values = {setting.name: _value(setting, environ, flags) for setting in SETTINGS}
    return Settings(**values)  # type: ignore[arg-type]


def misspelt_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are almost those of a setting, each with the setting's."""
    names = {setting.variable.removeprefix(_PREFIX): setting.variable for setting in SETTINGS}
    given = [name.removeprefix(_PREFIX) for name in environ if name.startswith(_PREFIX)]
    # The variables of the client and of the recorder resemble no setting as much.
    close = {
        name: difflib.get_close_matches(name, names, 1, _LIKENESS)
        for name in given
        if name not in names
    }
    return {_PREFIX + name: names[found[0]] for name, found in close.items() if found}


def shown_settings(
    environ: Mapping[str, str], flags: Mapping[str, Value | None]
) -> list[tuple[str, str, str]]:
    """Return each setting's name, its value unless it is secret, and the value's source.

    Raises:
        SettingError: see ``load_settings``.
    """
    settings = load_settings(environ, flags)
    return [
        (
            setting.name,
            _shown(setting, getattr(settings, setting.name)),
            _source(setting, environ, flags),
        )
        for setting in SETTINGS
    ]


def _shown(setting: Setting, value: Value) -> str:
    if setting.name in SECRETS and value:
        return "(hidden)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _source(setting: Setting, environ: Mapping[str, str], flags: Mapping[str, Value | None]) -> str:
    if flags.get(setting.name) is not None:
        return _flag(setting)
    return setting.variable if setting.variable in environ else "default"


def _flag(setting: Setting) -> str:
    return f"--{setting.name.replace('_', '-')}"


def _value(
    setting: Setting, environ: Mapping[str, str], flags: Mapping[str, Value | None]
) -> Value:
    flag = flags.get(setting.name)
    if flag is not None:
        return _checked(setting, flag, _flag(setting))
    text = environ.get(setting.variable)
    if text is None:
        return setting.default
    return _checked(setting, _parse(setting, text), setting.variable)


def _parse(setting: Setting, text: str) -> Value:
    if isinstance(setting.default, bool):
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if text.lower() not in words:
            raise SettingError(f"{setting.variable} must be true or false, got {text!r}")
        return words[text.lower()]
    if isinstance(setting.default, int):
        return parse_whole_number(setting.variable, text)
    return text


def parse_whole_number(source: str, text: str) -> int:
    """Parse a whole number in ASCII digits.

    ``int`` also accepts ``1_0``, white space and the digits of every script.

    Raises:
        SettingError: ``text`` is not one. The message names ``source``, a flag or a variable.
    """
    if _WHOLE_NUMBER.fullmatch(text) is None:
        raise SettingError(f"{source} must be a whole number in plain digits, got {text[:40]!r}")
    return int(text)


def _checked(setting: Setting, value: Value, source: str) -> Value:
    if setting.name in _NETWORKS:
        _check_networks(source, str(value))
    if setting.name == "otlp_keep" and value not in OTLP_KEEP:
        raise SettingError(f"{source} must be {' or '.join(OTLP_KEEP)}, got {str(value)[:40]!r}")
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    if setting.name == "abandoned_after_minutes" and 0 < value < LEAST_ABANDONED_MINUTES:
        raise SettingError(
            f"{source} must be 0 or at least {LEAST_ABANDONED_MINUTES}, got {value}: agents send a "
            "heartbeat once a minute"
        )
    smallest = 1 if setting.name in _AT_LEAST_ONE else 0
    largest = _MAXIMA.get(setting.name, _LARGEST)
    check_range(source, value, smallest, largest)
    return value


def _check_networks(source: str, text: str) -> None:
    try:
        TrustedProxies.parse(text)
    except ValueError as error:
        raise SettingError(
            f"{source} must be addresses or networks, separated by commas, such as "
            f"127.0.0.1,10.0.0.0/8: {error}"
        ) from error


def check_range(source: str, value: int, smallest: int, largest: int) -> None:
    """Reject a number that is out of range.

    Raises:
        SettingError: the number is out of range.
    """
    if not smallest <= value <= largest:
        raise SettingError(f"{source} must be {smallest} to {largest}, got {value}")
