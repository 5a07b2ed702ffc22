"""The steps and faults of a `ScriptedServer`.

The moments at which an exchange can fail, in order:

    request      the request was read, but not processed
    processing   the request was processed, but no byte of the response was sent
    headers      the head of the response was sent, but nothing of its body
    half         the head and the first half of the body were sent

A client cannot distinguish the first two, which is why there are idempotency keys.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Moment: TypeAlias = Literal["request", "processing", "headers", "half"]
"""When a fault occurs; see the table in the module's docstring."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Send exactly this response, regardless of the request and without changing state.

    A `dict` or `list` is sent as JSON, a `str` as HTML, `bytes` as they are, `None` as an empty
    body. `headers` are added to the response and override the server's.
    """

    status: int = 200
    body: dict[str, Any] | list[Any] | str | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def error(
        cls, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Return a reply with the error body of the API."""
        body = {"status": "error", "code": code, "message": message}
        return cls(status, body, headers or {})


@dataclass(frozen=True, slots=True)
class HtmlReply(Reply):
    """Respond like a proxy in front of the API, with an HTML page instead of JSON."""

    status: int = 503
    body: dict[str, Any] | list[Any] | str | bytes | None = (
        "<html><head><title>Unavailable</title></head><body>Please try again.</body></html>"
    )


@dataclass(frozen=True, slots=True)
class StreamedReply:
    """Stream a body from an iterable, possibly endless, such as `itertools.repeat(b"x" * 65536)`.

    Uses chunked encoding, or with `chunked=False` closes the connection at the end. `headers` are
    added. A `Content-Length` among them is sent even if it is wrong.
    """

    pieces: Iterable[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    chunked: bool = True


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait `seconds` before processing the request."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection gracefully at the given moment."""

    after: Moment = "request"


@dataclass(frozen=True, slots=True)
class Truncate(Drop):
    """Announce the whole body, send half of it and close the connection."""

    after: Moment = "half"


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (TCP RST) at the given moment."""

    after: Moment = "request"


@dataclass(frozen=True, slots=True)
class Stall:
    """Stop sending at the given moment. Close after `seconds`, or when the client disconnects."""

    seconds: float
    after: Moment = "request"


Step: TypeAlias = Reply | StreamedReply | Delay | Drop | Reset | Stall
"""A step for one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Random faults from a seed. Each rate is the share of requests, from 0 to 1, with that fault.

    The sequence of faults depends only on the seed. Which request gets which fault also depends on
    the order of arrival.
    """

    seed: int
    drop_before: float = 0.0
    """The connection is closed before the request is processed."""
    drop_after: float = 0.0
    """The connection is closed after the request is processed, so the response is lost."""
    stall: float = 0.0
    """The server stalls for `stall_seconds`; half of the stalls before, half after processing."""
    truncate: float = 0.0
    """The response is truncated in the middle of its body."""
    throttle: float = 0.0
    """Status 429 with `Retry-After`; the request is not processed."""
    unavailable: float = 0.0
    """Status 503 with `Retry-After`; the request is not processed."""
    stall_seconds: float = 1.0
    """Duration of a stall. Use more than the request timeout of the client."""
    retry_after: float = 0.01
    """The number of seconds sent as `Retry-After`."""

    def __post_init__(self) -> None:
        """Validate the rates."""
        rates = [rate for rate, _ in self._table()]
        if min(rates) < 0 or sum(rates) > 1:
            msg = f"rates must not be negative and add up to at most 1, got {sum(rates):g}"
            raise ValueError(msg)

    def steps(self) -> Iterator[Step | None]:
        """Yield the step for each request, endlessly; `None` for a normal response."""
        chooser = random.Random(self.seed)  # noqa: S311 - reproducible on purpose
        table = self._table()
        weights = [rate for rate, _ in table]
        normal = max(0.0, 1 - math.fsum(weights))
        choices: list[Step | None] = [step for _, step in table]
        while True:
            yield chooser.choices([*choices, None], [*weights, normal])[0]

    def _table(self) -> tuple[tuple[float, Step], ...]:
        wait = {"Retry-After": f"{self.retry_after:g}"}
        return (
            (self.drop_before, Drop()),
            (self.drop_after, Drop(after="processing")),
            (self.stall / 2, Stall(self.stall_seconds)),
            (self.stall / 2, Stall(self.stall_seconds, after="processing")),
            (self.truncate, Truncate()),
            (self.throttle, Reply.error(429, "unknown", "Too many requests", headers=wait)),
            (self.unavailable, Reply.error(503, "unexpected", "Unavailable", headers=wait)),
        )
