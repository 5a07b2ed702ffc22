"""The two ways to declare a span type: by name, and by tracing a function."""

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
    """The decorators and methods that a recorder and a `SpanTypes` declare span types with."""

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
        """Declare a span type, to be registered with the runs that begin from now on.

        Declaring the same again is fine, so a module may be imported twice.

        Args:
            name: What spans are recorded under, such as `agent:llm`.
            params: What goes in: a JSON Schema (draft 2020-12), a pydantic model, a dataclass, a
                TypedDict or any other type. What is no object is recorded as `{"value": …}`, and
                described like that. By default, any object.
            result: What comes out, likewise.
            title: What people call it.
            description: What it is.
            template: A Liquid template for a line about each span.
            data_risk: What it may do and which data it sees: a mapping with `action_profile`,
                `params_data_categories` and `result_data_categories`, or the model of
                `prefactor_http`. What is left out is unknown.

        Raises:
            ConfigurationError: A part of it cannot be used, or the name is declared differently.
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

        For functions, coroutine functions and generators of both kinds, methods included. The
        arguments are the payload, by name and without `self`; the result is recorded as it is if
        it is an object, else as `{"value": …}`; of a generator, it is the list of its items. The
        schemas come from the type hints. The function's exceptions are its own and go on their
        way; outside a run the function simply runs.

        Args:
            name: The span type; by default the function's module and name. Several functions may
                share a name.
            capture_arguments: Whether arguments are recorded.
            capture_result: Whether results are recorded.
            **declaration: `params`, `result`, `title`, `description`, `template` and `data_risk`,
                as for `span_type`. By default the first two come from the type hints, and the
                description is the first paragraph of the docstring.

        Raises:
            ConfigurationError: It is no function, or the name is declared differently.
        """
        if callable(name) or isinstance(name, staticmethod | classmethod):
            return self.trace()(cast("Any", name))

        def decorate(function: Any) -> Any:
            if isinstance(function, staticmethod | classmethod):
                method = cast("Any", function)
                return type(method)(decorate(method.__func__))
            return tracing.declare_traced(
                self.add_span_type,
                function,
                name,
                capture_arguments=capture_arguments,
                capture_result=capture_result,
                parts=declaration,
            )

        return decorate
