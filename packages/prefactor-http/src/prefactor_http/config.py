"""Settings of a client: URL, token, time limits and retries."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from prefactor_http._redaction import mask_userinfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

RETRIED_STATUSES = (429, 500, 502, 503, 504)
"""Too many requests, and server errors that may be temporary."""
MAX_RESPONSE_BYTES = 128 * 2**20
"""Twice the size of the payloads in the server's largest response, the export of a run."""


@dataclass
class HttpClientConfig:
    """Connection, time and retry settings of a `PrefactorHttpClient`.

    Values are validated at construction, in the order of the fields. The first invalid one raises
    `ValueError`. The token never appears in `repr()`.
    """

    api_url: str
    """Base URL such as `https://api.prefactor.ai`. May have a path; a trailing slash is ignored."""
    api_token: str = field(repr=False)
    """Bearer token, sent with every request."""
    request_timeout: float = 30.0
    """Maximum seconds for one attempt."""
    connect_timeout: float = 10.0
    """Maximum seconds to obtain a connection, including the wait for a free one in the pool."""
    max_retries: int = 3
    """Attempts *after* the first one."""
    initial_retry_delay: float = 1.0
    """Seconds before the first retry, before jitter."""
    max_retry_delay: float = 60.0
    """Maximum seconds between two attempts."""
    retry_multiplier: float = 2.0
    """Factor from one delay to the next."""
    retry_on_status_codes: tuple[int, ...] = RETRIED_STATUSES
    """Response statuses to retry, for all methods."""
    default_idempotency_key: str | None = None
    """Prefix of generated idempotency keys: `<prefix>-<uuid4>`, at most 64 characters."""
    deadline: float | None = field(default=None, kw_only=True)
    """Maximum seconds for a call, including attempts and delays; None for no limit."""
    max_response_bytes: int = field(default=MAX_RESPONSE_BYTES, kw_only=True)
    """Maximum size of a response body in bytes, both as sent and uncompressed."""

    def __post_init__(self) -> None:
        """Validate every value. `x > 0` is False for NaN as well."""
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
        """Return every field, with the token and any password inside `api_url` masked."""
        shown = {each.name: getattr(self, each.name) for each in fields(self)}
        shown |= {"api_url": mask_userinfo(self.api_url), "api_token": "***"}
        listed = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"{type(self).__name__}({listed})"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Self:
        """Read the settings from `PREFACTOR_*` variables. Keyword arguments override them.

        `PREFACTOR_API_URL` and `PREFACTOR_API_TOKEN` are required unless passed as keywords. The
        other variables are the field names in capitals, such as `PREFACTOR_MAX_RETRIES`.
        `PREFACTOR_RETRY_ON_STATUS_CODES` is a comma-separated list. Blank variables count as unset,
        and surrounding white space, such as a newline from a secrets file, is removed.

        Raises:
            ValueError: A required variable is missing or a value is invalid. The message names the
                variable and never contains a token.
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


def _require(condition: bool, message: str) -> None:  # noqa: FBT001 - like `assert`
    if not condition:
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
