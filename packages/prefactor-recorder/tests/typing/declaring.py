"""DeclaresSpanTypes and tracing as a caller types it. Type-checked by `make check` and never run.

A line that must not pass has an ignore for the expected complaint. Unused ignores are errors too,
so every line is checked in both directions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

from prefactor_http.models import DataRisk
from prefactor_recorder import Recorder, SpanType, SpanTypes
from prefactor_recorder.testing import InMemoryRecorder, RecordedRun, RecordedSpan

recorder = Recorder(span_types=[SpanTypes()])
types = SpanTypes()


class Params:
    """Something that goes in."""


def declared() -> None:
    """Everything that a declaration takes."""
    risk = {"action_profile": {"read_data": "allowed"}}
    assert_type(recorder.span_type("a", Params, {"type": "object"}, title="A"), SpanType)
    types.span_type("a", params=list[int], template="{{ value }}", data_risk=DataRisk())
    types.span_type("a", data_risk=risk)
    types.span_type("a", data_risk=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    types.span_type()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    recorder.include(types)
    assert_type(types.schemas(), list[dict[str, Any]])
    assert_type(types.schema_version(), bytes | None)


@recorder.trace
def plain(a: int, *, b: str = "") -> list[str]:
    """A function, traced under its own name."""
    return [b] * a


@recorder.trace("agent:tool", title="Tool", capture_result=False)
async def later(a: int) -> str:
    """A coroutine function, traced with everything."""
    return str(a)


@types.trace()
def items(a: int) -> Iterator[int]:
    """A generator."""
    yield a


@types.trace("items later")
async def items_later(a: int) -> AsyncIterator[int]:
    """An asynchronous generator."""
    yield a


class Shop:
    """Has methods."""

    @types.trace("method")
    def method(self, a: int) -> int:
        """A method."""
        return a

    @types.trace("static")
    @staticmethod
    def static(a: int) -> int:
        """A static method, traced from outside."""
        return a

    @classmethod
    @types.trace("class")
    def of_class(cls, a: int) -> int:
        """A class method, traced from inside."""
        return a


async def called(shop: Shop) -> None:
    """A traced function has the types of the function inside."""
    assert_type(plain(1, b="x"), list[str])
    assert_type(await later(1), str)
    assert_type(items(1), Iterator[int])
    assert_type(items_later(1), AsyncIterator[int])
    assert_type(shop.method(1), int)
    assert_type(shop.static(1), int)
    assert_type(shop.of_class(1), int)
    plain("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    recorder.trace("a", titel="A")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def looked_at(recorder: InMemoryRecorder) -> None:
    """Read what a test sees."""
    assert_type(recorder.runs, list[RecordedRun])
    assert_type(recorder.span_named("a"), RecordedSpan)
    assert_type(recorder.span_named("a").payload, dict[str, Any])
    assert_type(recorder.span_named("a").error, dict[str, str] | None)
    with recorder.run() as run:
        recorder.terminate(run, "enough")
