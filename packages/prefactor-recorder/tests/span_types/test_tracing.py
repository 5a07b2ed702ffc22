"""Traced functions record their calls and behave as before."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from prefactor_recorder import guard
from prefactor_recorder.errors import ConfigurationError, RunTerminated
from prefactor_recorder.span_types.registry import SpanTypes
from prefactor_recorder.testing import InMemoryRecorder
from tracing_fixture import add, add_later, count, count_later, types


def test_a_call_is_a_span(recorder: InMemoryRecorder) -> None:
    """A call is recorded with its arguments by name, defaults included, and its result."""
    with recorder.run():
        assert add(1) == 3

    span = recorder.span_named("add")
    assert (span.payload, span.result, span.status) == ({"a": 1, "b": 2}, {"value": 3}, "complete")


async def test_an_awaited_call_is_a_span(recorder: InMemoryRecorder) -> None:
    """The span ends with the result, not with the creation of the coroutine."""
    with recorder.run():
        coroutine = add_later(1, b=4)
        assert recorder.spans == []
        assert await coroutine == 5

    span = recorder.span_named("add later")
    assert (span.payload, span.result) == ({"a": 1, "b": 4}, {"value": 5})


def test_a_generator_is_a_span_with_its_items(recorder: InMemoryRecorder) -> None:
    """The span lasts from the first step to the last, and its result is the yielded items."""
    with recorder.run():
        numbers = count(3)
        assert recorder.spans == []
        assert list(numbers) == [0, 1, 2]

    span = recorder.span_named("count")
    assert (span.payload, span.result, span.status) == (
        {"limit": 3},
        {"value": [0, 1, 2]},
        "complete",
    )


async def test_an_asynchronous_generator_is_a_span_with_its_items(
    recorder: InMemoryRecorder,
) -> None:
    """The same applies to asynchronous generators."""
    with recorder.run():
        assert [number async for number in count_later(3)] == [0, 1, 2]

    assert recorder.span_named("count later").result == {"value": [0, 1, 2]}


def test_calls_nest(recorder: InMemoryRecorder) -> None:
    """Calls made by a traced function are its children, and later calls are not."""

    @types.trace("outer")
    def outer() -> None:
        add(1)
        list(count(1))

    with recorder.run():
        outer()
        add(2)

    recorder.assert_tree("""
        run test-agent complete
          outer complete
            add complete
            count complete
          add complete
    """)


@pytest.mark.parametrize(
    ("result", "recorded"),
    [
        (None, {"value": None}),
        ({"a": 1}, {"a": 1}),
        ([1], {"value": [1]}),
        ("text", {"value": "text"}),
        (contextlib.nullcontext, None),
    ],
)
def test_results_are_objects(recorder: InMemoryRecorder, result: Any, recorded: Any) -> None:
    """A mapping is the result itself, and any other value is its `value`."""
    with recorder.run():
        assert types.trace("give")(lambda: result)() is result

    given = recorder.span_named("give").result
    assert given == recorded if recorded else list(given or {}) == ["value"]


def fail(message: str) -> None:
    """Fails."""
    raise ValueError(message)


def test_an_exception_reaches_the_host(recorder: InMemoryRecorder) -> None:
    """The host gets the same exception with one more frame, and the span has type and message."""
    traced = types.trace("fail")(fail)
    with recorder.run(), pytest.raises(ValueError, match="no stock") as caught:
        traced("no stock")

    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames == ["test_an_exception_reaches_the_host", "wrapper", "fail"]
    assert caught.value.__context__ is caught.value.__cause__ is None
    span = recorder.span_named("fail")
    assert span.status == "failed"
    assert span.error is not None
    assert (span.error["error_type"], span.error["message"]) == ("ValueError", "no stock")


async def test_a_cancelled_call_is_cancelled(recorder: InMemoryRecorder) -> None:
    """Cancelling the task ends the span as cancelled, and still cancels the task."""

    @types.trace("wait")
    async def wait() -> None:
        await asyncio.sleep(3600)

    with recorder.run():
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert recorder.span_named("wait").status == "cancelled"


class Shop:
    """A class with methods of all kinds, decorated in either order."""

    def __init__(self) -> None:
        self.sold = 0

    @types.trace("method")
    def sell(self, item: str) -> str:
        """A method."""
        self.sold += 1
        return item

    @types.trace("class inside")
    @classmethod
    def one(cls, item: str) -> str:
        """A class method, traced from outside."""
        return cls.__name__ + item

    @classmethod
    @types.trace("class outside")
    def other(cls, item: str) -> str:
        """A class method, traced from inside."""
        return cls.__name__ + item

    @types.trace("static inside")
    @staticmethod
    def first(item: str) -> str:
        """A static method, traced from outside."""
        return item

    @staticmethod
    @types.trace("static outside")
    def second(item: str) -> str:
        """A static method, traced from inside."""
        return item

    @property
    @types.trace("property")
    def total(self) -> int:
        """A property."""
        return self.sold


def test_methods_are_recorded_without_their_object(recorder: InMemoryRecorder) -> None:
    """`self` and `cls` are not recorded, in either order of decorators."""
    shop = Shop()
    with recorder.run():
        results = [
            shop.sell("a"),
            Shop.sell(shop, "a"),
            Shop.sell(self=shop, item="a"),
            shop.one("a"),
            Shop.other("a"),
            shop.first("a"),
            Shop.second("a"),
        ]
        assert shop.total == 3

    assert results == ["a", "a", "a", "Shopa", "Shopa", "a", "a"]
    assert [span.payload for span in recorder.spans] == [*[{"item": "a"}] * 7, {}]


def test_partial_and_callable_objects_can_be_traced(recorder: InMemoryRecorder) -> None:
    """Any callable works, and bound arguments of a partial object are recorded too."""

    class Asking:
        async def __call__(self, question: str) -> str:
            return question

    def power(base: int, exponent: int) -> int:
        return base**exponent

    square = types.trace("square")(functools.partial(power, exponent=2))
    ask = types.trace("ask")(Asking())
    built_in = types.trace("largest")(max)

    with recorder.run():
        assert square(3) == 9
        assert asyncio.run(ask("why")) == "why"
        assert built_in(1, 2) == 2

    assert [span.payload for span in recorder.spans] == [
        {"base": 3, "exponent": 2},
        {"question": "why"},
        {"args": [1, 2], "kwargs": {}},
    ]


def test_variable_arguments_keep_their_names(recorder: InMemoryRecorder) -> None:
    """`*args` is a list, `**kwargs` an object, under the names that the function gives them."""

    @types.trace("vary")
    def vary(first: int, /, *rest: int, key: str = "k", **more: int) -> None:
        """Takes anything."""

    with recorder.run():
        vary(1, 2, 3, other=4)
        vary(1)

    assert [span.payload for span in recorder.spans] == [
        {"first": 1, "rest": [2, 3], "key": "k", "more": {"other": 4}},
        {"first": 1, "rest": [], "key": "k", "more": {}},
    ]


@pytest.mark.parametrize("call", [lambda f: f(), lambda f: f(1, 2, 3), lambda f: f(1, c=3)])
def test_a_wrong_call_raises_the_original_error(
    recorder: InMemoryRecorder, call: Callable[[Any], Any]
) -> None:
    """A call with wrong arguments raises the function's own TypeError, word for word."""
    with recorder.run():
        with pytest.raises(TypeError) as traced:
            call(add)
        with pytest.raises(TypeError) as bare:
            call(inspect.unwrap(add))

    assert str(traced.value) == str(bare.value)
    assert recorder.span_named("add").status == "failed"


def test_tools_that_share_a_type_are_distinguished(recorder: InMemoryRecorder) -> None:
    """A span type for tools has the function's name, where servers look for it."""

    @types.trace("agent:tool")
    def look_up(key: str) -> str:
        return key

    with recorder.run():
        look_up("a")

    assert recorder.span_named("agent:tool").payload == {"tool_name": "look_up", "key": "a"}


def test_arguments_and_results_can_be_excluded(recorder: InMemoryRecorder) -> None:
    """Arguments and results can be excluded, for functions and generators."""

    @types.trace("secret", capture_arguments=False, capture_result=False)
    def login(password: str) -> str:
        return password

    @types.trace("secrets", capture_arguments=False, capture_result=False)
    def passwords(password: str) -> Iterator[str]:
        yield password

    with recorder.run():
        login("hunter2")
        list(passwords("hunter2"))

    assert [(span.payload, span.result) for span in recorder.spans] == [({}, None)] * 2


def test_the_name_is_that_of_the_function() -> None:
    """Without a name, module and qualified name make the span type, and the short one its title."""
    own = SpanTypes()

    @own.trace
    def inner() -> None: ...

    @own.trace()
    def other() -> None: ...

    assert [(each["name"], each["title"]) for each in own.schemas()] == [
        (f"{__name__}.inner", "inner"),
        (f"{__name__}.other", "other"),
    ]
    assert (inner(), other()) == (None, None)


@pytest.mark.parametrize("thing", [Shop, 3, property(lambda _: 1)])
def test_only_functions_can_be_traced(thing: Any) -> None:
    """Decorating anything but a function raises at once."""
    with pytest.raises(ConfigurationError, match="trace needs a function"):
        types.trace("x")(thing)


def test_a_function_still_looks_like_itself() -> None:
    """Name, docstring, signature and kind are those of the wrapped function."""
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    assert list(inspect.signature(add).parameters) == ["a", "b"]
    assert inspect.iscoroutinefunction(add_later)
    assert inspect.isgeneratorfunction(count)
    assert inspect.isasyncgenfunction(count_later)
    assert not inspect.iscoroutinefunction(add)


def test_a_call_outside_of_a_run_is_not_recorded(
    recorder: InMemoryRecorder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function runs, and the log says once that nothing is recorded."""
    monkeypatch.setattr(guard, "_warned", set())
    with caplog.at_level(logging.WARNING):
        assert add(1) == 3
        assert list(count(2)) == [0, 1]
        assert asyncio.run(add_later(1)) == 3

    assert recorder.spans == []
    (warning,) = caplog.messages
    assert "outside a run" in warning


def test_an_unsampled_run_logs_nothing(
    recorder: InMemoryRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    """In a run that is deliberately not recorded, traced functions log no warning."""
    with recorder.run(sampled=False):
        assert add(1) == 3
        assert list(count(2)) == [0, 1]

    assert recorder.spans == []
    assert caplog.messages == []


def test_a_terminated_run_stops_the_next_call(recorder: InMemoryRecorder) -> None:
    """The function is not called: RunTerminated is raised instead."""
    called: list[str] = []

    @types.trace("call")
    def call() -> None:
        called.append("call")

    @types.trace("step")
    def step() -> Iterator[int]:
        called.append("step")
        yield 1

    run = recorder.run()
    with run:
        recorder.terminate(run, "over budget")
        with pytest.raises(RunTerminated, match="over budget"):
            next(step())
        with pytest.raises(RunTerminated, match="over budget"):
            call()

    assert called == []
