"""Wraps functions so that each call is recorded as a child of the current span.

The wrapper has the same results, exceptions and kind as the function, so a coroutine function stays
a coroutine function. Outside a run, it just calls the function.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import types
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prefactor_recorder.corrections import short_repr
from prefactor_recorder.errors import ConfigurationError
from prefactor_recorder.guard import not_interrupts, warn_once
from prefactor_recorder.run import current_run
from prefactor_recorder.span_types.arguments import Arguments
from prefactor_recorder.span_types.generators import (
    GeneratorSpan,
    UnrecordedGenerator,
    YieldedItems,
    wrap_async_generator,
    wrap_generator,
)
from prefactor_recorder.span_types.introspection import kind_of
from prefactor_recorder.span_types.span_type import ANY_OBJECT, declared_name, new_span_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prefactor_recorder.run import Run
    from prefactor_recorder.span import Span
    from prefactor_recorder.span_types.span_type import SpanType


class FunctionTracer:
    """Records the calls of one function.

    Args:
        function: The function.
        name: The span type.
        constants: Members of every payload besides the arguments; None records no arguments.
        capture_result: Whether to record results.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        constants: Mapping[str, Any] | None,
        *,
        capture_result: bool,
    ) -> None:
        self._function = function
        self._name = name
        self._arguments = None if constants is None else Arguments(function, constants)
        self._capture_result = capture_result

    def span(self, run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
        """Return the span of a call, which begins when its block is entered."""
        return run.span(self._name, self._payload(args, kwargs))

    def begin(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> GeneratorSpan | UnrecordedGenerator:
        """Begin the span of a generator, at its first step."""
        run = self.run()
        if run is None:
            return UnrecordedGenerator()
        span = run.start_span(self._name, self._payload(args, kwargs))
        return GeneratorSpan(span, YieldedItems() if self._capture_result else None)

    def record_result(self, span: Span, result: Any) -> None:
        """Set the result of a call, which may be None."""
        if self._capture_result:
            span.set_result({"value": None} if result is None else result)

    def run(self) -> Run | None:
        """Return the current run, or None outside every run or in one that is not recorded."""
        run = current_run()
        if run is None:
            warn_once(
                "trace",
                "A call of %s was not recorded, because it was made outside a run. Call it inside "
                "`with recorder.run(...)`. This is logged once.",
                self._name,
            )
            return None
        return run if run.live else None

    def _payload(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        return None if self._arguments is None else self._arguments.named(args, kwargs)


def declare_traced(
    add_span_type: Callable[[SpanType], None],
    function: Any,
    name: str | None,
    *,
    capture_arguments: bool,
    capture_result: bool,
    parts: Mapping[str, Any],
) -> Callable[..., Any]:
    """Declare the span type of a function and wrap it; see `DeclaresSpanTypes.trace`."""
    if issubclass(type(function), type) or not callable(function):
        raise ConfigurationError(
            f"trace needs a function, got {short_repr(function)}. To trace a property, put "
            "@property above @trace"
        )
    try:
        span_type, wrapper = _traced(
            function,
            name,
            capture_arguments=bool(capture_arguments),
            capture_result=bool(capture_result),
            parts=parts,
        )
    except ConfigurationError:
        raise
    except not_interrupts() as error:  # attributes of a callable object
        raise ConfigurationError(
            f"trace cannot read {short_repr(function)}: {type(error).__name__}"
        ) from error
    add_span_type(span_type)
    return wrapper


def _traced(
    function: Callable[..., Any],
    name: str | None,
    *,
    capture_arguments: bool,
    capture_result: bool,
    parts: Mapping[str, Any],
) -> tuple[SpanType, Callable[..., Any]]:
    given = {part: value for part, value in parts.items() if value is not None}
    if name is None:
        name, title = _function_names(function)
        given.setdefault("title", title)
    name = declared_name(name)
    # The schema must not require what is not recorded.
    for part, captured in (("params", capture_arguments), ("result", capture_result)):
        if not captured:
            given.setdefault(part, ANY_OBJECT)
    constants = {"tool_name": _function_names(function)[1]} if _is_tool(name) else {}
    span_type = replace(
        new_span_type(name, **given),
        functions=(function,),
        constants={member: {"type": "string"} for member in constants},
    )
    wrapper = trace_function(
        function,
        name,
        constants=constants if capture_arguments else None,
        capture_result=capture_result,
    )
    return span_type, wrapper


def _function_names(function: Callable[..., Any]) -> tuple[str, str]:
    """Return a function's full name, and its name inside its module."""
    target = function
    while isinstance(target, functools.partial):
        target = target.func
    if not isinstance(getattr(target, "__qualname__", None), str):
        target = type(target)
    short = target.__qualname__.rpartition("<locals>.")[2]
    module = getattr(target, "__module__", None)
    # The name must not depend on how a program is started.
    return (short if module in {None, "__main__"} else f"{module}.{short}"), short


def _is_tool(name: str) -> bool:
    """Whether a span type is for tools, judging by its name, as servers do.

    Tools usually share one span type. `tool_name` in the payload distinguishes them.
    """
    return "tool" in re.split(r"[^a-z0-9]+", name.lower())


def trace_function(
    function: Callable[..., Any],
    name: str,
    *,
    constants: Mapping[str, Any] | None,
    capture_result: bool,
) -> Callable[..., Any]:
    """Return a wrapper that records its calls; see `FunctionTracer` for the arguments."""
    tracer = FunctionTracer(function, name, constants, capture_result=capture_result)
    wrapper = _WRAPPERS[kind_of(function)](function, tracer)
    with contextlib.suppress(TypeError):  # a mock whose name is not text
        functools.update_wrapper(wrapper, function)
    _copy_signature(wrapper, function)
    if isinstance(function, functools.partial):  # has no name of its own
        wrapper.__name__ = getattr(function.func, "__name__", wrapper.__name__)
        wrapper.__qualname__ = getattr(function.func, "__qualname__", wrapper.__qualname__)
    return wrapper


def _copy_signature(wrapper: Any, function: Callable[..., Any]) -> None:
    """Set the signature of a wrapper for code that ignores `__wrapped__`.

    `inspect.getcallargs` does. The code object keeps `*args` and `**kwargs`, because calls with
    wrong arguments are recorded as well.
    """
    try:
        wrapper.__signature__ = inspect.signature(function)
    except not_interrupts():  # written in C, or annotated with a name defined later
        pass
    if isinstance(function, types.FunctionType):
        wrapper.__defaults__ = function.__defaults__
        wrapper.__kwdefaults__ = function.__kwdefaults__


def _around_function(function: Callable[..., Any], tracer: FunctionTracer) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        run = tracer.run()
        if run is None:
            return function(*args, **kwargs)
        with tracer.span(run, args, kwargs) as span:
            result = function(*args, **kwargs)
            tracer.record_result(span, result)
            return result

    return wrapper


def _around_coroutine(function: Callable[..., Any], tracer: FunctionTracer) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        run = tracer.run()
        if run is None:
            return await function(*args, **kwargs)
        with tracer.span(run, args, kwargs) as span:
            result = await function(*args, **kwargs)
            tracer.record_result(span, result)
            return result

    return wrapper


def _around_generator(function: Callable[..., Any], tracer: FunctionTracer) -> Callable[..., Any]:
    return wrap_generator(function, tracer.begin)


def _around_async_generator(
    function: Callable[..., Any], tracer: FunctionTracer
) -> Callable[..., Any]:
    return wrap_async_generator(function, tracer.begin)


_WRAPPERS = {
    "function": _around_function,
    "coroutine": _around_coroutine,
    "generator": _around_generator,
    "async generator": _around_async_generator,
}
