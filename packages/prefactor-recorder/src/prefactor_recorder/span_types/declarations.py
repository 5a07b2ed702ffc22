"""The two ways to declare a span type: explicitly, and by tracing a function."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from prefactor_recorder.span_types import tracing
from prefactor_recorder.span_types.span_type import new_span_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefactor_recorder.span_types.data_risk import RiskLike
    from prefactor_recorder.span_types.span_type import SpanType

    Traceable = Callable[..., Any] | classmethod[Any, Any, Any]

F = TypeVar("F", bound="Traceable")


class DeclaresSpanTypes:
    """The methods of `Recorder` and `SpanTypes` that declare span types."""

    @abstractmethod
    def add_span_type(self, span_type: SpanType) -> None:
        """Add a span type."""
        ...

    def span_type(
        self,
        name: str,
        params: Any = None,
        result: Any = None,
        *,
        title: str | None = None,
        description: str | None = None,
        template: str | None = None,
        data_risk: RiskLike | None = None,
    ) -> SpanType:
        """Declare a span type, to be registered with all runs from now on.

        Repeating the same declaration is allowed, so a module may be imported twice.

        Args:
            name: The name of the span type, such as `agent:llm`.
            params: The input: a JSON Schema (draft 2020-12), a pydantic model, a dataclass, a
                TypedDict or any other type. Values that are not objects are recorded as
                `{"value": …}`, and the schema says so. By default, any object.
            result: The output, in the same forms.
            title: A title for people.
            description: A description.
            template: A Liquid template for the one-line summary of a span.
            data_risk: What it may do and which data it sees: a mapping with `action_profile`,
                `params_data_categories` and `result_data_categories`, or the model of
                `prefactor_http`. Missing members are unknown.

        Raises:
            ConfigurationError: An argument is invalid, or the name is already declared differently.
        """
        span_type = new_span_type(
            name,
            params=params,
            result=result,
            title=title,
            description=description,
            template=template,
            data_risk=data_risk,
        )
        self.add_span_type(span_type)
        return span_type

    @overload
    def trace(self, function: F, /) -> F: ...
    @overload
    def trace(
        self,
        name: str | None = None,
        /,
        *,
        params: Any = None,
        result: Any = None,
        title: str | None = None,
        description: str | None = None,
        template: str | None = None,
        data_risk: RiskLike | None = None,
        capture_arguments: bool = True,
        capture_result: bool = True,
    ) -> Callable[[F], F]: ...
    def trace(
        self,
        name: Traceable | str | None = None,
        /,
        *,
        capture_arguments: bool = True,
        capture_result: bool = True,
        **declaration: Any,
    ) -> Any:
        """Record the calls of a function: `@recorder.trace`, or `@recorder.trace("agent:tool")`.

        Works for functions, coroutine functions, both kinds of generators, and methods. The payload
        consists of the arguments by name, without `self`. A result that is not an object is
        recorded as `{"value": …}`; the result of a generator is the list of its items. The schemas
        come from the type hints. Exceptions of the function pass through. Outside a run, the
        function just runs.

        Args:
            name: The span type; by default the function's module and name. Several functions may
                share a name.
            capture_arguments: Whether to record arguments.
            capture_result: Whether to record results.
            **declaration: `params`, `result`, `title`, `description`, `template` and `data_risk`,
                as for `span_type`. By default, `params` and `result` come from the type hints, and
                the description is the first paragraph of the docstring.

        Raises:
            ConfigurationError: The object is not a function, or the name is declared differently.
        """
        # By type, because `isinstance` may call code of the host.
        if callable(name) or issubclass(type(name), staticmethod | classmethod):
            return self.trace()(cast("Any", name))

        def decorate(function: Any) -> Any:
            if issubclass(type(function), staticmethod | classmethod):
                return type(function)(decorate(function.__func__))
            return tracing.declare_traced(
                self.add_span_type,
                function,
                cast("str | None", name),
                capture_arguments=capture_arguments,
                capture_result=capture_result,
                parts=declaration,
            )

        return decorate
