"""Traced generators record their items and behave as before."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from prefactor_recorder.run import current_span
from prefactor_recorder.span_types.generators import MAX_ITEM_BYTES, MAX_ITEMS, OMITTED
from prefactor_recorder.testing import InMemoryRecorder
from tracing_fixture import add, add_later, count, count_later, types


def test_a_generator_that_is_left_early_is_complete(recorder: InMemoryRecorder) -> None:
    """A generator that its consumer leaves early is complete, with the items so far."""
    with recorder.run():
        for number in count(100):
            if number == 2:
                break

    span = recorder.span_named("count")
    assert (span.status, span.result) == ("complete", {"value": [0, 1, 2]})


async def test_an_asynchronous_generator_that_is_closed_is_complete(
    recorder: InMemoryRecorder,
) -> None:
    """`aclose` is the same as leaving the loop."""
    with recorder.run():
        numbers = count_later(100)
        assert await anext(numbers) == 0
        await numbers.aclose()  # type: ignore[attr-defined]

    assert recorder.span_named("count later").status == "complete"


class Opaque(Exception):
    """An exception that raises another one when any attribute is read."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_an_opaque_exception_reaches_the_consumer(recorder: InMemoryRecorder) -> None:
    """A generator's exception that nobody can look into fails its span, and is re-raised."""

    @types.trace("opaque")
    def opaque() -> Iterator[int]:
        yield 1
        raise Opaque

    raised: list[type] = []
    with recorder.run():
        try:
            list(opaque())
        except Exception as error:  # noqa: BLE001 - pytest.raises looks into it
            raised.append(type(error))
    assert raised == [Opaque]
    span = recorder.span_named("opaque")
    assert (span.status, (span.result or {})["value"]) == ("failed", [1])


def test_a_generator_that_fails_keeps_its_items(recorder: InMemoryRecorder) -> None:
    """The items before a failure are recorded with the error."""

    @types.trace("break")
    def breaking() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with recorder.run(), pytest.raises(ValueError, match="broken"):
        list(breaking())

    span = recorder.span_named("break")
    assert span.status == "failed"
    assert span.result is not None
    assert span.result["value"] == [1]
    assert span.result["error"]["message"] == "broken"


def test_a_return_value_is_recorded(recorder: InMemoryRecorder) -> None:
    """A generator's return value is recorded with its items, and reaches the consumer."""

    @types.trace("answer")
    def answer() -> Any:
        yield "a"
        return 42

    def consumer() -> Any:
        returned.append((yield from answer()))

    returned: list[Any] = []
    with recorder.run():
        assert list(consumer()) == ["a"]

    assert returned == [42]
    assert recorder.span_named("answer").result == {"value": ["a"], "returned": 42}


def test_items_are_copied(recorder: InMemoryRecorder) -> None:
    """A consumer may change an item, and a generator may reuse one object."""

    @types.trace("reuse")
    def reuse() -> Iterator[dict[str, int]]:
        item: dict[str, int] = {}
        for number in range(3):
            item["n"] = number
            yield item

    with recorder.run():
        for item in reuse():
            item["n"] = 100

    assert recorder.span_named("reuse").result == {"value": [{"n": 0}, {"n": 1}, {"n": 2}]}


@pytest.mark.parametrize(
    ("item", "number", "kept"),
    [
        (1, MAX_ITEMS + 5, MAX_ITEMS),
        ("x" * 1021, 300, MAX_ITEM_BYTES // 1024),
        ({"text": "x" * 2037}, 200, MAX_ITEM_BYTES // 2049),
    ],
)
def test_items_are_bounded(recorder: InMemoryRecorder, item: Any, number: int, kept: int) -> None:
    """Of an endless generator the first items are kept, and the rest is counted."""

    @types.trace("many")
    def many() -> Iterator[Any]:
        for _ in range(number):
            yield item

    with recorder.run():
        for _ in many():
            pass

    result = recorder.span_named("many").result
    assert result is not None
    assert len(result["value"]) == kept
    assert result[OMITTED] == number - kept


def test_the_consumer_is_not_inside_the_generator(recorder: InMemoryRecorder) -> None:
    """Between two steps, the consumer's own span is current, not the generator's."""

    @types.trace("produce")
    def produce() -> Iterator[str]:
        for _ in range(2):
            add(0)
            span = current_span()
            yield "" if span is None else span.schema_name

    with recorder.run() as run, run.span("consume") as span:
        for name in produce():
            assert name == "produce"
            assert current_span() is span
            add(1)

    recorder.assert_tree("""
        run test-agent complete
          consume complete
            produce complete
              add complete
              add complete
            add complete
            add complete
    """)


def test_a_span_around_a_yield_is_the_generators_alone(recorder: InMemoryRecorder) -> None:
    """A span that the generator keeps open is current in its code only."""
    with recorder.run() as run:

        @types.trace("produce")
        def produce() -> Iterator[int]:
            with run.span("inside"):
                yield 1
                add(0)
                yield 2
            add(0)

        for _ in produce():
            add(1)

    recorder.assert_tree("""
        run test-agent complete
          produce complete
            inside complete
              add complete
            add complete
          add complete
          add complete
    """)


async def test_concurrent_generators_do_not_mix(recorder: InMemoryRecorder) -> None:
    """Tasks that read generators at the same time each have their own spans."""

    @types.trace("produce")
    async def produce(name: str) -> AsyncIterator[str]:
        for number in range(3):
            await asyncio.sleep(0)
            assert await add_later(number) == number + 2
            yield name

    async def consume(name: str) -> None:
        with run.span(name):
            assert [each async for each in produce(name)] == [name] * 3

    with recorder.run() as run:
        await asyncio.gather(*(consume(name) for name in "abc"))

    recorder.assert_all_ended()
    for name in "abc":
        (produced,) = recorder.span_named(name).children
        assert [child.schema_name for child in produced.children] == ["add later"] * 3


def test_a_generator_may_be_closed_somewhere_else(recorder: InMemoryRecorder) -> None:
    """Steps in different contexts, as in servers, lose neither the span nor the context."""
    with recorder.run() as run:
        numbers = count(3)
        for _ in range(2):
            contextvars.copy_context().run(next, numbers)
        with run.span("elsewhere") as span:
            contextvars.Context().run(numbers.close)  # type: ignore[attr-defined]
            assert current_span() is span

    assert recorder.span_named("count").result == {"value": [0, 1]}


def test_a_context_manager_made_of_a_traced_generator_works(recorder: InMemoryRecorder) -> None:
    """Frameworks that drive generators by hand get the usual behaviour, failures included."""

    @contextlib.contextmanager
    @types.trace("opened")
    def opened() -> Iterator[str]:
        try:
            yield "file"
        except KeyError:
            add(1)

    with recorder.run(), opened() as file:
        assert file == "file"
        raise KeyError("handled in there")

    recorder.assert_tree("""
        run test-agent complete
          opened complete
            add complete
    """)
