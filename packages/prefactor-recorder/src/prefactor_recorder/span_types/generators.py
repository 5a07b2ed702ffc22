"""Runs a traced generator step by step, with the same behaviour as an untraced one.

The generator's span is current only while the generator's own code runs, not while its consumer's
code runs. `yield from` could not switch in between. A span that the generator opened around a
`yield` becomes current again in the next step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import orjson

from prefactor_otel.truncation import MARK
from prefactor_recorder.context import enter, innermost, leave
from prefactor_recorder.encoding.values import encode_object
from prefactor_recorder.guard import guarded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from types import TracebackType

    from prefactor_recorder.context import Entered
    from prefactor_recorder.span import Span

    Begin = Callable[[tuple[Any, ...], dict[str, Any]], "GeneratorSpan | UnrecordedGenerator"]

OMITTED = "prefactor.omitted_items"
"""The member of a result with the number of items that were not recorded."""
MAX_ITEMS = 10_000
"""Maximum number of recorded items of a generator."""
MAX_ITEM_BYTES = 256 * 1024
"""Approximate maximum size of all recorded items of a generator, in bytes of JSON."""
MAX_FIELDS = 100
"""Maximum number of truncated fields named."""

_ENDS = (StopIteration, StopAsyncIteration)
_IMMUTABLE = {str, int, float, bool, type(None)}


class YieldedItems:
    """Copies of the items a generator has yielded so far, within bounds."""

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self._room = MAX_ITEM_BYTES
        self._omitted = 0
        self._returned: Any = None
        self._mark: dict[str, Any] | None = None

    @guarded
    def add(self, item: Any) -> None:
        """Add a copy of an item, because the consumer may change the item."""
        if self._omitted or len(self._kept) == MAX_ITEMS:
            self._omitted += 1
            return
        if type(item) in _IMMUTABLE:
            size = len(item) + 3 if isinstance(item, str) else 8
        else:
            encoded = encode_object({"value": item}, MAX_ITEM_BYTES)
            size = len(encoded) - len('{"value":')
            members: dict[str, Any] = orjson.loads(encoded)
            item = members["value"]
            if MARK in members:
                self._add_truncation(members[MARK])
        self._room -= size
        if self._room < 0:
            self._omitted = 1
        else:
            self._kept.append(item)

    def _add_truncation(self, mark: dict[str, Any]) -> None:
        """Add the truncation mark of the next item, with paths relative to the result."""
        place = f"value[{len(self._kept)}]"
        fields = [place + field.removeprefix("value") for field in mark["fields"]]
        before = self._mark or {"original_size": 0, "fields": []}
        size = before["original_size"] + mark["original_size"]
        self._mark = {"original_size": size, "fields": [*before["fields"], *fields][:MAX_FIELDS]}

    def returned(self, value: Any) -> None:
        """Add the return value of the generator."""
        self._returned = value

    def result(self) -> dict[str, Any]:
        """Return everything as the result of a span."""
        result: dict[str, Any] = {"value": self._kept}
        if self._omitted:
            result[OMITTED] = self._omitted
        if self._returned is not None:
            result["returned"] = self._returned
        if self._mark is not None:
            result[MARK] = self._mark
        return result


class GeneratorSpan:
    """The span of a generator, as a context manager around each step.

    Args:
        span: A span that has begun.
        items: Collects the items; None records no items.
    """

    def __init__(self, span: Span, items: YieldedItems | None) -> None:
        self._span = span
        self._items = items
        self._inside: Any = span
        self._entered: Entered | None = None

    def yielded(self, item: Any) -> None:
        """Record an item."""
        if self._items is not None:
            self._items.add(item)

    def returned(self, value: Any) -> None:
        """Record the return value and end the span."""
        if self._items is not None:
            self._items.returned(value)
        self._end(None)

    def __enter__(self) -> Self:
        self._entered = enter(self._inside)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._inside = innermost()
        if self._entered is not None:
            leave(self._entered)
        # By type alone, because `isinstance` may call code of the host's exception.
        if error is not None and not issubclass(type(error), _ENDS):
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        if self._items is not None:
            self._span.set_result(self._items.result())
        # A consumer that needs no more items closes the generator. That is not a cancellation.
        if error is None or issubclass(type(error), GeneratorExit):
            self._span.finish()
        else:
            self._span.end_with(error)


class UnrecordedGenerator:
    """Replaces `GeneratorSpan` for a generator that is not recorded."""

    def yielded(self, item: Any) -> None:
        """Do nothing."""

    def returned(self, value: Any) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def wrap_generator(
    function: Callable[..., Generator[Any, Any, Any]], begin: Begin
) -> Callable[..., Generator[Any, Any, Any]]:
    """Wrap a generator function so that its generators behave as before but are recorded.

    The wrapper is a generator function as well, because frameworks check for that (dependencies,
    fixtures). Therefore, wrong arguments raise at the first step instead of at the call.

    Args:
        function: The generator function.
        begin: Called with the arguments at the first step.
    """

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        generator_span = begin(args, kwargs)
        sent: Any = None
        thrown: BaseException | None = None
        while True:
            try:
                with generator_span:
                    # Not in the `except` below, which would set the thrown exception as the
                    # context of whatever the generator raises.
                    item = generator.send(sent) if thrown is None else generator.throw(thrown)
            except StopIteration as stop:
                generator_span.returned(stop.value)
                return stop.value
            finally:
                thrown = None  # break the reference cycle with this frame
            generator_span.yielded(item)
            try:
                sent = yield item
            except BaseException as error:  # noqa: BLE001 - all of them are for the generator
                thrown = error

    return wrapper


def wrap_async_generator(
    function: Callable[..., AsyncGenerator[Any, Any]], begin: Begin
) -> Callable[..., AsyncGenerator[Any, Any]]:
    """Wrap an asynchronous generator function in the same way as `wrap_generator`."""

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        generator_span = begin(args, kwargs)
        sent: Any = None
        thrown: BaseException | None = None
        while True:
            try:
                with generator_span:
                    step = generator.asend(sent) if thrown is None else generator.athrow(thrown)
                    item = await step
            except StopAsyncIteration:
                generator_span.returned(None)
                return
            finally:
                thrown = None
            generator_span.yielded(item)
            try:
                sent = yield item
            except BaseException as error:  # noqa: BLE001 - all of them are for the generator
                thrown = error

    return wrapper
