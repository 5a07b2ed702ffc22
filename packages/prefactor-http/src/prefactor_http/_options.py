"""Options of a call, or of a group of calls, that override those of the client."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

from prefactor_http.exceptions import PrefactorRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """Settings of a single call; what is None is taken from the client.

    An immutable value: share one freely between tasks.

    Raises:
        ValueError: A limit is not positive, or `max_retries` is negative.
    """

    deadline: float | None = None
    """Seconds for the whole call, all attempts and the waits between them; `math.inf` lifts the
    client's own deadline."""
    request_timeout: float | None = None
    """Seconds that one attempt may take."""
    max_retries: int | None = None
    """Attempts after the first one."""
    max_response_bytes: int | None = None
    """Bytes of the response body that are taken, both as it is sent and uncompressed."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, hash=False)
    """Extra headers; they win over the client's, except for the idempotency key of the call."""

    def __post_init__(self) -> None:
        """Check the limits; written so that NaN fails too."""
        for name in ("deadline", "request_timeout", "max_response_bytes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                message = f"{name} must be positive"
                raise ValueError(message)
        if self.max_retries is not None and self.max_retries < 0:
            message = "max_retries must be non-negative"
            raise ValueError(message)
        object.__setattr__(self, "headers", dict(self.headers))  # ours alone from here on

    def __repr__(self) -> str:
        """Every setting; of the headers only the names, because values may be credentials."""
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
