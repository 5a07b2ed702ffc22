"""How a span or a run ends: its status, its time and the error it ended with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, cast

from prefactor_recorder.corrections import short_repr
from prefactor_recorder.encoding.clock import unix_ns
from prefactor_recorder.guard import failures, not_interrupts

if TYPE_CHECKING:
    from datetime import datetime

Status = Literal["complete", "failed", "cancelled"]
"""How a span or a run ended."""
STATUSES: dict[str, str] = {
    "complete": ',"status":"complete"',
    "failed": ',"status":"failed"',
    "cancelled": ',"status":"cancelled"',
}
MAX_STACK = 20_000
"""Characters kept of a stack trace, from its end."""

_CANCELLATIONS = (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception cancels a block instead of failing it.

    Looks at the type alone, because `isinstance` may call code of the host, which may raise.
    """
    return issubclass(type(error), _CANCELLATIONS)


def status_member(status: str) -> str:
    """Return a status as a further member of a JSON object, defaulting to `complete`."""
    member = STATUSES.get(status) if type(status) is str else _status_of(status)
    if member is None:
        expected = ", ".join(STATUSES)
        failures.note(
            "finish", ValueError(f"status must be one of {expected}, got {short_repr(status)}")
        )
    return member or STATUSES["complete"]


def _status_of(status: object) -> str | None:
    # By type, because `isinstance` may call code of the host.
    return STATUSES.get(str.__str__(cast("str", status))) if issubclass(type(status), str) else None


def given_time(given: datetime, now: int) -> int:
    """Convert a caller's datetime to nanoseconds.

    Falls back to `now`, because losing the time is better than losing the span.
    """
    try:
        return int(unix_ns(given))  # a subclass may calculate with anything
    except not_interrupts() as error:  # it may be anything but a datetime
        failures.note("time", error)
        return now


def exception_info(error: BaseException) -> dict[str, str]:
    """Return an exception as the `error` member of a result."""
    from prefactor_recorder.encoding.exception_info import exception_message, stack_trace  # noqa: PLC0415 - only failures need it
    from prefactor_recorder.encoding.truncation import argument_text  # noqa: PLC0415

    return {
        "error_type": type(error).__qualname__,
        "message": exception_message(error, argument_text),
        "stacktrace": stack_trace(error, MAX_STACK, argument_text),
    }


def result_members(result: Any, limit: int) -> dict[str, Any]:
    """Return a result as a dict to which `error` can be added."""
    import orjson  # noqa: PLC0415 - only failures need it

    from prefactor_recorder.encoding.values import encode_object  # noqa: PLC0415

    members: dict[str, Any] = orjson.loads(encode_object(result, limit))
    return members
