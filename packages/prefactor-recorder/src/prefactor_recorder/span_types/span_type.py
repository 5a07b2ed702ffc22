"""A span type: the name, schemas and texts declared for one kind of span."""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Number
from typing import TYPE_CHECKING, Any, cast

import orjson

from prefactor_recorder.corrections import is_mapping, schema_name, short_repr
from prefactor_recorder.encoding.values import MAX_SCHEMA_DEPTH, exceeds_depth
from prefactor_recorder.errors import ConfigurationError
from prefactor_recorder.guard import failures, not_interrupts
from prefactor_recorder.span_types.data_risk import checked_risk
from prefactor_recorder.span_types.introspection import underlying

if TYPE_CHECKING:
    from prefactor_recorder.span_types.data_risk import RiskLike

ANY_OBJECT = {"type": "object"}
MAX_FUNCTIONS = 8
"""Maximum traced functions of a span type that its schemas describe. With more, it is any
object."""


@dataclass(frozen=True, kw_only=True)
class SpanType:
    """One kind of span, created by `span_type` or by tracing a function.

    `params` and `result` are the declared values. `params_schema` and `result_schema` are the JSON
    Schemas (draft 2020-12) to send.
    """

    name: str
    """The name of the span type, such as `agent:llm`."""
    params: Any = None
    """The declared input: a JSON Schema or a type; None if not declared."""
    result: Any = None
    """The declared output, in the same forms."""
    title: str | None = None
    """A title for people."""
    description: str | None = None
    """A description."""
    template: str | None = None
    """A Liquid template for the one-line summary; see the how-to on schemas and summaries."""
    data_risk: Mapping[str, Any] | None = None
    """What it may do and which data it sees."""
    functions: tuple[Callable[..., Any], ...] = field(default=(), compare=False, repr=False)
    """The traced functions with this span type."""
    constants: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False, repr=False)
    """Schemas of members of traced functions' payloads that are not arguments."""

    @property
    def params_schema(self) -> dict[str, Any]:
        """The JSON Schema of payloads: declared, or from the type hints of the traced functions."""
        # Not imported until a run is registered.
        from prefactor_recorder.span_types import function_schemas  # noqa: PLC0415

        if self.params is None and 0 < len(self.functions) <= MAX_FUNCTIONS:
            return function_schemas.parameters_schema(*self.functions, constants=self.constants)
        return _schema(self.params, function_schemas.schema_of)

    @property
    def result_schema(self) -> dict[str, Any]:
        """The JSON Schema of results."""
        from prefactor_recorder.span_types import function_schemas  # noqa: PLC0415

        if self.result is None and 0 < len(self.functions) <= MAX_FUNCTIONS:
            return function_schemas.result_schema(*self.functions)
        return _schema(self.result, function_schemas.result_schema_of)

    def to_api(self) -> dict[str, Any]:
        """Return the declaration as the API accepts it."""
        optional = {
            "title": self.title,
            "description": self.description or self._documentation(),
            "template": self.template,
            "data_risk": self.data_risk,
        }
        return {
            "name": self.name,
            "params_schema": self.params_schema,
            "result_schema": self.result_schema,
        } | {name: value for name, value in optional.items() if value is not None}

    def _documentation(self) -> str | None:
        """Return the first paragraph of the docstring if there is exactly one function."""
        if len(self.functions) != 1:
            return None
        text = inspect.getdoc(underlying(self.functions[0]))
        return " ".join(text.partition("\n\n")[0].split()) if text else None


def _schema(declared: Any, describe: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    if declared is None:
        return dict(ANY_OBJECT)
    if isinstance(declared, Mapping):
        return dict(cast("Mapping[str, Any]", declared))
    return describe(declared)


DECLARED_FIELDS = ("params", "result", "title", "description", "template", "data_risk")


def new_span_type(
    name: Any,
    *,
    params: Any = None,
    result: Any = None,
    data_risk: RiskLike | None = None,
    **texts: Any,
) -> SpanType:
    """Return a validated span type.

    Raises:
        ConfigurationError: An argument is invalid. The message says which.
    """
    name = declared_name(name)
    for field_name in ("title", "description", "template"):
        text = texts.get(field_name)
        if text is not None:
            if not issubclass(type(text), str):
                raise ConfigurationError(f"{field_name} of span type {name!r} must be text")
            texts[field_name] = str.__str__(text)
    return SpanType(
        name=name,
        params=_declared(name, "params", params),
        result=_declared(name, "result", result),
        data_risk=None if data_risk is None else _checked_risk(name, data_risk),
        **texts,
    )


def declared_name(name: object) -> str:
    """Return the name of a span type, corrected in the same way as a span's.

    Raises:
        ConfigurationError: The name is neither text nor a number.
    """
    if issubclass(type(name), bool) or not issubclass(type(name), str | Number):
        raise ConfigurationError(f"a span type's name must be text, got {short_repr(name)}")
    return schema_name(name, None)


_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME


def _time_text(value: Any) -> str:
    """Convert what orjson is not given; see `encoding.plain_json`."""
    if not issubclass(type(value), dt.date | dt.time):
        raise TypeError
    from prefactor_recorder.encoding.objects import iso_text  # noqa: PLC0415 - rarely needed

    return iso_text(value)


def _checked_risk(name: str, risk: RiskLike) -> dict[str, Any]:
    try:
        return checked_risk(risk)
    except ConfigurationError:
        raise
    except not_interrupts() as error:
        kind = type(error).__name__
        raise ConfigurationError(
            f"data_risk of span type {name!r} cannot be read: {kind}"
        ) from None


def _declared(name: str, part: str, declared: Any) -> Any:
    if is_mapping(declared):
        try:
            too_deep = exceeds_depth(declared, MAX_SCHEMA_DEPTH)
            # Copied, so that nobody can change it after it was compared.
            copy: Any = (
                None if too_deep else orjson.loads(orjson.dumps(declared, _time_text, _OPTIONS))
            )
        except not_interrupts() as error:
            reason = error if type(error) is orjson.JSONEncodeError else type(error).__name__
            raise ConfigurationError(
                f"{part} of span type {name!r} is not JSON: {reason}"
            ) from None
        if not too_deep:
            return copy
        # Servers would reject the registration, and the run with it.
        failures.note(
            f"{part} of span type {name!r}",
            ValueError(f"nested more than {MAX_SCHEMA_DEPTH} levels; declared as any object"),
        )
        return dict(ANY_OBJECT)
    kind = type(cast("object", declared))
    if issubclass(kind, str | bytes | int | float | list):
        raise ConfigurationError(
            f"{part} of span type {name!r} must be a JSON Schema or a type, got {kind.__name__}"
        )
    return declared
