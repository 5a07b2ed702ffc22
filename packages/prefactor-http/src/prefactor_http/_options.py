"""Options of a call that override those of the client."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

from prefactor_http.exceptions import PrefactorRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """Settings of a call. Those that are None default to the client's.

    Immutable, so one instance can be shared between tasks.

    Raises:
        ValueError: A limit is not positive, or `max_retries` is negative.
    """

    deadline: float | None = None
    """Maximum seconds for the call, including attempts and delays; `math.inf` lifts the client's
    deadline."""
    request_timeout: float | None = None
    """Maximum seconds for one attempt."""
    max_retries: int | None = None
    """Attempts after the first one."""
    max_response_bytes: int | None = None
    """Maximum size of the response body in bytes, both as sent and uncompressed."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, hash=False)
    """Extra headers. They override the client's, except for the call's idempotency key."""

    def __post_init__(self) -> None:
        """Validate the limits. `value > 0` is False for NaN as well."""
        for name in ("deadline", "request_timeout", "max_response_bytes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                message = f"{name} must be positive"
                raise ValueError(message)
        if self.max_retries is not None and self.max_retries < 0:
            message = "max_retries must be non-negative"
            raise ValueError(message)
        object.__setattr__(self, "headers", dict(self.headers))  # a copy nobody else changes

    def __repr__(self) -> str:
        """Return all settings, but only the names of headers, because values may be secret."""
        shown = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr]
        return f"RequestOptions({', '.join(shown)}, headers={sorted(self.headers)!r})"

    def merge(self, call: RequestOptions | None) -> RequestOptions:
        """Return these options, overridden by those of a call."""
        if call is None:
            return self
        if not isinstance(call, RequestOptions):  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"options must be a RequestOptions, got {type(call).__name__}"
            raise PrefactorRequestError(message, "options")
        given = {
            name: value
            for name in ("deadline", "request_timeout", "max_retries", "max_response_bytes")
            if (value := getattr(call, name)) is not None
        }
        return replace(self, **given, headers={**self.headers, **call.headers})


NO_OPTIONS = RequestOptions()
"""Overrides nothing."""
