"""Spans, resources and log events of OTLP, independent of their encoding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from prefactor_server.domain.times import MAX_TIME_US

MAX_NAME: Final = 256
MAX_VALUES: Final = 20_000
"""How many values the attributes and events of one span may have."""
UNKNOWN_SERVICE: Final = "unknown_service"

_CONVERSATION: Final = ("gen_ai.conversation.id", "conversation_id")
_METADATA: Final = (_CONVERSATION, ("session.id", "session_id"), ("user.id", "user_id"))
_MAX_METADATA: Final = 256
_SCRUBBED: Final = "[Scrubbed due to"


class Rejected(Exception):
    """One span or record cannot be stored. Others of its request can."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Resource(NamedTuple):
    """The process that sent the spans, from its resource's attributes."""

    service: str
    version: str | None
    environment: str | None

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Resource:
        """Read the attributes of a resource. Names that are too long are truncated."""
        environment = attributes.get("deployment.environment.name")
        if environment is None:
            environment = attributes.get("deployment.environment")
        service = _name(attributes.get("service.name"))
        return cls(
            service or UNKNOWN_SERVICE, _name(attributes.get("service.version")), _name(environment)
        )


class ReceivedSpan(NamedTuple):
    """One ended span. Times are microseconds since 1970, ids hexadecimal.

    ``is_root`` means that it has no parent, or one in another process. ``events`` are pairs of a
    name and attributes.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    is_root: bool
    name: str
    start: int
    end: int
    is_error: bool
    status_message: str | None
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    scope: str | None

    def metadata(self) -> dict[str, str]:
        """Return the ids of the conversation, the session and the user in its attributes."""
        found: dict[str, str] = {}
        for attribute, key in _METADATA:
            value = self.attributes.get(attribute)
            # Logfire scrubs attributes named like a session. Unrelated runs would seem related.
            if value not in (None, "") and not str(value).startswith(_SCRUBBED):
                found[key] = _storable(str(value))[:_MAX_METADATA]
        return found


class ReceivedEvent(NamedTuple):
    """An event of a span that was sent as a log record; ``at`` is in nanoseconds."""

    trace_id: str
    span_id: str
    name: str
    at: int
    attributes: dict[str, Any]

    @classmethod
    def of(
        cls,
        *,
        trace_id: str,
        span_id: str,
        name: str,
        at: int,
        attributes: dict[str, Any],
        body: Any,
    ) -> ReceivedEvent | None:
        """Return the event in a log record, or None if it is not about a model.

        Older instrumentation puts its name into an attribute, and its content into the body.
        """
        name = name or str(attributes.get("event.name", ""))
        if not name.startswith("gen_ai."):
            return None
        content = {} if body is None else {"content": body}
        if isinstance(body, dict):
            content = cast("dict[str, Any]", body)
        return cls(trace_id, span_id, name, at, {**content, **attributes})


class Counter:
    """Counts the values of one span, so that a small message cannot become a large one."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_VALUES

    def count(self, values: int) -> None:
        """Count more values.

        Raises:
            Rejected: there are too many.
        """
        self.left -= values
        if self.left < 0:
            raise Rejected(f"has more than {MAX_VALUES} values")


def times(start_ns: int, end_ns: int) -> tuple[int, int]:
    """Return start and end in microseconds.

    Raises:
        Rejected: there is neither, or one is beyond the year 9999.
    """
    start, end = start_ns // 1000, end_ns // 1000
    if not start and not end:
        raise Rejected("has no time: set start_time_unix_nano and end_time_unix_nano")
    if max(start, end) > MAX_TIME_US:
        raise Rejected("has a time after the year 9999")
    return start or end, end or start


def json_number(value: float) -> float | str:
    """Return a number for JSON. An infinity or NaN becomes a string, as in OTLP."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _name(value: Any) -> str | None:
    if value in (None, ""):
        return None
    return _storable(str(value))[:MAX_NAME]


def _storable(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
