"""Settings of a recorder, from arguments, `PREFACTOR_*` variables or defaults, in this order."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from uuid import UUID

from prefactor_recorder.errors import ConfigurationError
from prefactor_recorder.guard import not_interrupts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ssl import SSLContext

    from prefactor_recorder.run import Run
    from prefactor_recorder.sink import Redact

Durability = Literal["disk", "memory"]
"""Where undelivered records are stored: in the spool or in memory."""

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RecorderSettings:
    """All settings. Validated at construction, which raises `ConfigurationError`."""

    api_url: str = ""
    """Base URL of the API. `PREFACTOR_API_URL`."""
    api_token: str = field(default="", repr=False)
    """Token of an account or a deployment. `PREFACTOR_API_TOKEN`."""
    agent_id: str | None = None
    """Default agent of runs. `PREFACTOR_AGENT_ID`."""
    environment_id: str | None = None
    """Default environment of runs. `PREFACTOR_ENVIRONMENT_ID`."""
    enabled: bool = True
    """Whether anything is recorded. `PREFACTOR_RECORDER_ENABLED`."""
    durability: Durability = "disk"
    """`disk` survives the process, `memory` does not. `PREFACTOR_DURABILITY`."""
    spool_dir: Path | None = None
    """Directory of the spool; None for the platform's state directory. `PREFACTOR_SPOOL_DIR`."""
    spool_limit: int = 512 * MIB
    """Maximum size of undelivered records on disk, in bytes. `PREFACTOR_SPOOL_LIMIT`."""
    memory_limit: int = 64 * MIB
    """Maximum size of undelivered records in memory, in bytes. Applies with `durability="memory"`
    and when the disk fails. `PREFACTOR_MEMORY_LIMIT`."""
    max_payload_size: int = 1_000_000
    """Maximum size of a payload as JSON, in bytes. The largest fields of larger payloads are
    truncated; servers reject more than 1 MiB. `PREFACTOR_MAX_PAYLOAD_SIZE`."""
    sample_rate: float = 1.0
    """Share of runs to record, 0 to 1. A run is recorded completely or not at all.
    `PREFACTOR_SAMPLE_RATE`."""
    exit_timeout: float = 2.0
    """Maximum seconds that the end of the program waits for delivery. `PREFACTOR_EXIT_TIMEOUT`."""
    redact: Redact | None = None
    """Called with the schema name and a copy of each payload and result. What it returns is
    recorded instead."""
    on_terminated: Callable[[Run], object] | None = None
    """Called once when a terminated run opens its next span. None raises `RunTerminated` there."""
    ssl: SSLContext | bool | None = None
    """TLS settings, passed to aiohttp."""
    proxy: str | None = None
    """URL of a proxy for all requests."""

    def __post_init__(self) -> None:
        try:
            self._check()
        except ConfigurationError:
            raise
        except not_interrupts() as error:
            kind = type(error).__name__
            raise ConfigurationError(f"a setting cannot be read: {kind}") from error

    def _check(self) -> None:
        for name, kinds in _KINDS.items():
            value = getattr(self, name)
            expected = " or ".join(_name_of(kind) for kind in kinds)
            _require(
                isinstance(value, kinds), f"{name} must be {expected}, got {type(value).__name__}"
            )
        for name in ("redact", "on_terminated"):
            value = getattr(self, name)
            _require(value is None or callable(value), f"{name} must be callable")
        _require(self.durability in get_args(Durability), "durability must be 'disk' or 'memory'")
        _require(0 <= self.sample_rate <= 1, "sample_rate must be from 0 to 1")
        _require(self.exit_timeout >= 0, "exit_timeout must not be negative")
        _require(self.spool_limit >= MIB, f"spool_limit must be at least {MIB} bytes")
        _require(self.memory_limit >= MIB, f"memory_limit must be at least {MIB} bytes")
        _require(
            SMALLEST_PAYLOAD <= self.max_payload_size <= LARGEST_PAYLOAD,
            f"max_payload_size must be from {SMALLEST_PAYLOAD} to {LARGEST_PAYLOAD} bytes",
        )
        _require(
            not self.api_url or self.api_url.startswith(("http://", "https://")),
            f"api_url must begin with http:// or https://, got {self.api_url!r}",
        )

    @property
    def missing(self) -> str | None:
        """The variable of the first required setting that is missing, or None."""
        if not self.api_url:
            return "PREFACTOR_API_URL"
        return None if self.api_token else "PREFACTOR_API_TOKEN"


_KINDS: dict[str, tuple[type, ...]] = {
    "api_url": (str,),
    "api_token": (str,),
    "agent_id": (str, Number, UUID, type(None)),
    "environment_id": (str, Number, UUID, type(None)),
    "enabled": (bool,),
    "durability": (str,),
    "spool_dir": (Path, type(None)),
    "spool_limit": (int,),
    "memory_limit": (int,),
    "max_payload_size": (int,),
    "sample_rate": (int, float),
    "exit_timeout": (int, float),
    "proxy": (str, type(None)),
}
SMALLEST_PAYLOAD = 1024
LARGEST_PAYLOAD = 32 * MIB


def resolve(environ: Mapping[str, str] | None = None, **given: Any) -> RecorderSettings:
    """Return the settings from arguments and environment. Arguments that are None are ignored.

    Raises:
        ConfigurationError: A value is invalid. The message names it and never contains a token.
    """
    source = os.environ if environ is None else environ
    values = {name: value for name, value in given.items() if value is not None}
    for name, read in _FROM_ENVIRONMENT.items():
        text = source.get(variable(name), "").strip()
        if text and name not in values:
            values[name] = _read(variable(name), text, read)
    if "spool_dir" in values:
        values["spool_dir"] = _absolute(values["spool_dir"])
    return RecorderSettings(**values)


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return "PREFACTOR_RECORDER_ENABLED" if name == "enabled" else f"PREFACTOR_{name.upper()}"


def _read(name: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except ValueError as error:
        shown = "***" if name.endswith("TOKEN") else repr(text)
        raise ConfigurationError(f"{name}={shown}: {error}") from None


def _absolute(path: str | Path) -> Path:
    """Return an absolute path, because a program that becomes a service changes directory."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:  # `~` without a home directory, or of an unknown user
        raise ConfigurationError(f"spool_dir={str(path)!r}: {error}") from None
    except not_interrupts():
        raise ConfigurationError(f"spool_dir must be a path, got {type(path).__name__}") from None


def _switch(text: str) -> bool:
    word = text.lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError("expected true or false")


def _require(condition: bool, message: str) -> None:  # noqa: FBT001 - like `assert`
    if not condition:
        raise ConfigurationError(message)


def _name_of(kind: type) -> str:
    return "None" if kind is type(None) else kind.__name__


_FROM_ENVIRONMENT: dict[str, Callable[[str], Any]] = {
    "api_url": str,
    "api_token": str,
    "agent_id": str,
    "environment_id": str,
    "enabled": _switch,
    "durability": str,
    "spool_dir": str,
    "spool_limit": int,
    "memory_limit": int,
    "max_payload_size": int,
    "sample_rate": float,
    "exit_timeout": float,
}

VARIABLES = {
    variable(each.name): each.name
    for each in fields(RecorderSettings)
    if each.name in _FROM_ENVIRONMENT
}
"""The environment variables and the setting each one sets."""
