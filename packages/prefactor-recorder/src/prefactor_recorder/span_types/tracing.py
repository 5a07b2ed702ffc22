"""Functions that record their calls: each a span below whatever is current where it is called.

The function behaves as it did: same results, same exceptions, same kind (a coroutine function stays
one, a generator function too). Outside a run it simply runs.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import types
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prefactor_recorder.errors import ConfigurationError
from prefactor_recorder.guard import warn_once
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
    """How the calls of one function are recorded.

    Args:
        function: The function.
        name: The span type.
        constants: Members of every payload besides the arguments; None records no arguments.
        capture_result: Whether results are recorded.
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
        """The span of a call, which begins when its block is entered."""
        return run.span(self._name, self._payload(args, kwargs))

    def begin(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> GeneratorSpan | UnrecordedGenerator:
        """The span of a generator, which begins with its first step."""
        run = self.run()
        if run is None:
            return UnrecordedGenerator()
        span = run.start_span(self._name, self._payload(args, kwargs))
        return GeneratorSpan(span, YieldedItems() if self._capture_result else None)

    def record_result(self, span: Span, result: Any) -> None:
        """Keep the result of a call; `None` is a result too."""
        if self._capture_result:
            span.set_result({"value": None} if result is None else result)

    def run(self) -> Run | None:
        """The run to record in; None if there is none, or it is not recorded."""
        run = current_run()
        if run is None:
            warn_once(
                "trace",
                "%s was called outside every run, and is not recorded there: call it inside "
                "`with recorder.run(...)`. This is said once.",
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
    """A function that records its calls, its span type declared; see `DeclaresSpanTypes.trace`."""
    if isinstance(function, type) or not callable(function):
        raise ConfigurationError(
            f"trace is for functions, not for {function!r}; of a property, trace the function "
            "inside: @property above, @trace below"
        )
    said = {part: value for part, value in parts.items() if value is not None}
    if name is None:
        name, title = _function_names(function)
        said.setdefault("title", title)
    name = declared_name(name)
    # What is not recorded must not be asked for.
    for part, captured in (("params", capture_arguments), ("result", capture_result)):
        if not captured:
            said.setdefault(part, ANY_OBJECT)
    constants = {"tool_name": _function_names(function)[1]} if _is_tool(name) else {}
    span_type = replace(
        new_span_type(name, **said),
        functions=(function,),
        constants={member: {"type": "string"} for member in constants},
    )
    add_span_type(span_type)
    return trace_function(
        function,
        name,
        constants=constants if capture_arguments else None,
        capture_result=capture_result,
    )


def _function_names(function: Callable[..., Any]) -> tuple[str, str]:
    """A function's full name, and its name inside its module."""
    target = function
    while isinstance(target, functools.partial):
        target = target.func
    if not isinstance(getattr(target, "__qualname__", None), str):
        target = type(target)
    short = target.__qualname__.rpartition("<locals>.")[2]
    module = getattr(target, "__module__", None)
    # The name of a program that is started must not depend on how it is started.
    return (short if module in {None, "__main__"} else f"{module}.{short}"), short


def _is_tool(name: str) -> bool:
    """Whether a span type is for tools, going by the words in its name, as servers do.

    Several tools usually share one such type; `tool_name` in the payload tells them apart.
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
    with contextlib.suppress(TypeError):  # a mock whose name is no text
        functools.update_wrapper(wrapper, function)
    _copy_signature(wrapper, function)
    if isinstance(function, functools.partial):  # has no name of its own
        wrapper.__name__ = getattr(function.func, "__name__", wrapper.__name__)
        wrapper.__qualname__ = getattr(function.func, "__qualname__", wrapper.__qualname__)
    return wrapper


def _copy_signature(wrapper: Any, function: Callable[..., Any]) -> None:
    """Give a wrapper the signature of its function for those who do not look at `__wrapped__`.

    `inspect.getcallargs` is one of them. The code object keeps `*args` and `**kwargs`, because a
    call with wrong arguments is recorded too.
    """
    with contextlib.suppress(Exception):  # written in C, or a name that exists only later
        wrapper.__signature__ = inspect.signature(function)
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
