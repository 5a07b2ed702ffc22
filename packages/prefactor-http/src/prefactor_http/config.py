"""Settings of a client: address, token, time limits and retries."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from prefactor_http._redaction import mask_userinfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

RETRIED_STATUSES = (429, 500, 502, 503, 504)
"""Too many requests, and the server errors that are worth asking again about."""
MAX_RESPONSE_BYTES = 128 * 2**20
"""Twice the payloads that the server puts into its largest answer, the export of a run."""


@dataclass
class HttpClientConfig:
    """Connection, time and retry settings of a `PrefactorHttpClient`.

    Values are checked at construction, in the order of the fields; the first that does not
    hold raises `ValueError`. The token never appears in `repr()`.
    """

    api_url: str
    """Base URL such as `https://api.prefactor.ai`; a base path is kept, a final slash ignored."""
    api_token: str = field(repr=False)
    """Bearer token, sent with every request."""
    request_timeout: float = 30.0
    """Seconds that one attempt may take in total."""
    connect_timeout: float = 10.0
    """Seconds to obtain a connection, the wait for a free one in the pool included."""
    max_retries: int = 3
    """Attempts *after* the first one."""
    initial_retry_delay: float = 1.0
    """Seconds before the first retry, before jitter."""
    max_retry_delay: float = 60.0
    """Seconds; no wait between attempts is longer."""
    retry_multiplier: float = 2.0
    """Factor from one wait to the next."""
    retry_on_status_codes: tuple[int, ...] = RETRIED_STATUSES
    """Response statuses that are retried, whatever the method."""
    default_idempotency_key: str | None = None
    """Prefix of the keys that typed writes generate: `<prefix>-<uuid4>`, at most 64 characters."""
    deadline: float | None = field(default=None, kw_only=True)
    """Seconds for one call altogether, attempts and waits included; None for no limit."""
    max_response_bytes: int = field(default=MAX_RESPONSE_BYTES, kw_only=True)
    """Bytes of a response body that are taken, both as it is sent and uncompressed."""

    def __post_init__(self) -> None:
        """Check every value; `not x > 0` instead of `x <= 0`, so that NaN fails too."""
        _require(bool(self.api_url), "api_url is required")
        _require(bool(self.api_token), "api_token is required")
        _require(self.request_timeout > 0, "request_timeout must be positive")
        _require(self.connect_timeout > 0, "connect_timeout must be positive")
        _require(self.max_retries >= 0, "max_retries must be non-negative")
        _require(self.initial_retry_delay > 0, "initial_retry_delay must be positive")
        _require(self.max_retry_delay > 0, "max_retry_delay must be positive")
        _require(
            self.initial_retry_delay <= self.max_retry_delay,
            "initial_retry_delay must be <= max_retry_delay",
        )
        _require(self.retry_multiplier >= 1, "retry_multiplier must be >= 1")
        _require(self.deadline is None or self.deadline > 0, "deadline must be positive")
        _require(self.max_response_bytes > 0, "max_response_bytes must be positive")

    def __repr__(self) -> str:
        """Every field, with the token and any password inside `api_url` masked."""
        shown = {each.name: getattr(self, each.name) for each in fields(self)}
        shown |= {"api_url": mask_userinfo(self.api_url), "api_token": "***"}
        listed = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"{type(self).__name__}({listed})"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Self:
        """Read the settings from `PREFACTOR_*` variables; keyword arguments win over them.

        `PREFACTOR_API_URL` and `PREFACTOR_API_TOKEN` are required unless given by keyword. The
        other variables are the field names in capitals, for instance `PREFACTOR_MAX_RETRIES`;
        `PREFACTOR_RETRY_ON_STATUS_CODES` is a comma-separated list. Blank variables count as
        unset, and surrounding white space (a newline from a secrets file) is removed.

        Raises:
            ValueError: A required variable is missing or a value cannot be read. The message
                names the variable and never repeats a token.
        """
        source = os.environ if environ is None else environ
        values = {
            name: _read(f"PREFACTOR_{name.upper()}", text, parse)
            for name, parse in _FROM_ENV.items()
            if name not in overrides
            and (text := source.get(f"PREFACTOR_{name.upper()}", "").strip())
        }
        for name in ("api_url", "api_token"):
            _require(
                name in values or name in overrides,
                f"PREFACTOR_{name.upper()} is not set: export it, or pass {name}=",
            )
        return cls(**values, **overrides)


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - a condition is what it takes
    if not holds:
        raise ValueError(message)


def _statuses(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _read(variable: str, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ValueError:
        expected = "a comma-separated list of numbers" if parse is _statuses else "a number"
        message = f"{variable} must be {expected}, got {text!r}"
        raise ValueError(message) from None


_FROM_ENV: dict[str, Callable[[str], Any]] = {
    "api_url": str,
    "api_token": str,
    "request_timeout": float,
    "connect_timeout": float,
    "max_retries": int,
    "initial_retry_delay": float,
    "max_retry_delay": float,
    "retry_multiplier": float,
    "retry_on_status_codes": _statuses,
    "default_idempotency_key": str,
    "deadline": float,
    "max_response_bytes": int,
}
