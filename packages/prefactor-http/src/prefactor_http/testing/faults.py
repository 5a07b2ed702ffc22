"""What a `ScriptedServer` can be told to do to a request instead of answering it properly.

The moments at which an exchange can break, in the order in which they pass:

    request      the request was read, nothing has happened yet
    processing   the effect was applied, no byte of the reply was sent
    headers      the head of the reply was sent, nothing of its body
    half         the head and the first half of the body were sent

A client cannot tell the first two apart, which is what idempotency keys are for.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Moment: TypeAlias = Literal["request", "processing", "headers", "half"]
"""Where in an exchange a fault strikes; see the module's table."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer with exactly this, without looking at the request or touching the state.

    A `dict` or `list` is sent as JSON, a `str` as HTML, `bytes` as they are, `None` as an empty
    body. `headers` are added to the reply and win over the ones the server would send.
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
    """Answer like a proxy in front of the API: a page of HTML where JSON was expected."""

    status: int = 503
    body: dict[str, Any] | list[Any] | str | bytes | None = (
        "<html><head><title>Unavailable</title></head><body>Please try again.</body></html>"
    )


@dataclass(frozen=True, slots=True)
class StreamedReply:
    """Answer with a body in pieces, endless if `pieces` is: `itertools.repeat(b"x" * 65536)`.

    In chunks, or with `chunked=False` until the connection closes. `headers` are added; with a
    `Content-Length` among them it promises that many bytes, whatever it sends.
    """

    pieces: Iterable[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    chunked: bool = True


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait `seconds` before the request is processed, then answer properly."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection in an orderly way at the given moment."""

    after: Moment = "request"


@dataclass(frozen=True, slots=True)
class Truncate(Drop):
    """Promise a whole body, send half of it and close the connection."""

    after: Moment = "half"


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (TCP RST) at the given moment."""

    after: Moment = "request"


@dataclass(frozen=True, slots=True)
class Stall:
    """Fall silent at the given moment; close after `seconds`, or when the client gives up."""

    seconds: float
    after: Moment = "request"


Step: TypeAlias = Reply | StreamedReply | Delay | Drop | Reset | Stall
"""One thing a server can be scripted to do with one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Random faults from a seed: the share of requests, between 0 and 1, that meets each one.

    The sequence of faults depends on the seed alone. Which request meets which fault also depends
    on the order in which requests arrive.
    """

    seed: int
    drop_before: float = 0.0
    """Connection closed before the request was processed."""
    drop_after: float = 0.0
    """Connection closed after the request was processed: the effect stands, the reply is lost."""
    stall: float = 0.0
    """Silence for `stall_seconds`; half of them before and half after processing."""
    truncate: float = 0.0
    """Reply cut in the middle of its body."""
    throttle: float = 0.0
    """Status 429 with `Retry-After`, not processed."""
    unavailable: float = 0.0
    """Status 503 with `Retry-After`, not processed."""
    stall_seconds: float = 1.0
    """How long a stall lasts; choose more than the request timeout of the client."""
    retry_after: float = 0.01
    """The number of seconds sent as `Retry-After`."""

    def __post_init__(self) -> None:
        """Refuse rates that are not probabilities."""
        rates = [rate for rate, _ in self._table()]
        if min(rates) < 0 or sum(rates) > 1:
            msg = f"rates must not be negative and add up to at most 1, got {sum(rates):g}"
            raise ValueError(msg)

    def steps(self) -> Iterator[Step | None]:
        """Yield, without end, what happens to the next request; `None` is a proper answer."""
        chooser = random.Random(self.seed)  # noqa: S311 - reproducible on purpose
        table = self._table()
        weights = [rate for rate, _ in table]
        well = max(0.0, 1 - math.fsum(weights))
        choices: list[Step | None] = [step for _, step in table]
        while True:
            yield chooser.choices([*choices, None], [*weights, well])[0]

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
