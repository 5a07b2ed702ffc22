"""Type hints of a function become the schemas of its payloads and results."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import typing
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
)
from typing import Annotated, Any

import pytest

from prefactor_recorder.span_types.function_schemas import (
    ANY_OBJECT,
    parameters_schema,
    result_schema,
    result_schema_of,
    schema_of,
)
from prefactor_recorder.span_types.registry import SpanTypes

if typing.TYPE_CHECKING:
    from nowhere import OnlyForTheChecker  # type: ignore[import-not-found]

from schema_types import Node


def test_parameters_are_described_by_name() -> None:
    """The schema has names, types, required parameters, defaults, `*args` and `**kwargs`."""

    def search(
        query: Annotated[str, "what to look for"],
        /,
        limit: int = 10,
        *tags: str,
        exact: bool = False,
        token: str = "secret",  # a default that must not be shown
        **options: float,
    ) -> None: ...

    assert parameters_schema(search) == {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "what to look for"},
            "limit": {"type": "integer", "default": 10},
            "tags": {"type": "array", "items": {"type": "string"}},
            "exact": {"type": "boolean", "default": False},
            "token": {"type": "string"},
            "options": {"type": "object", "additionalProperties": {"type": "number"}},
        },
        "required": ["query"],
    }


class Shop:
    def buy(self, item: str) -> int:
        return len(item)

    @classmethod
    def open(cls, name: str) -> None: ...

    @staticmethod
    def close(name: str) -> None: ...

    def __call__(self, amount: int) -> str:
        return str(amount)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (Shop.buy, ["item"]),
        (Shop().buy, ["item"]),
        (Shop.open, ["name"]),
        (Shop.__dict__["open"].__func__, ["name"]),
        (Shop.close, ["name"]),
        (Shop(), ["amount"]),
        (functools.partial(Shop.close, "a"), []),
        (functools.partial(Shop.close, name="a"), ["name"]),
        (functools.lru_cache(Shop.close), ["name"]),
    ],
)
def test_self_and_bound_arguments_are_left_out(
    function: Callable[..., Any], names: list[str]
) -> None:
    """`self`, `cls` and arguments that a partial object has already bound are not in the schema."""
    assert list(parameters_schema(function)["properties"]) == names


def unresolvable(known: int, unknown: OnlyForTheChecker, nested: list[OnlyForTheChecker]) -> bool:
    """Has annotations that exist for the type checker alone."""
    return bool(known or unknown or nested)


def test_an_unresolvable_hint_costs_no_other() -> None:
    """An unresolvable hint describes nothing, and the rest of the function is described."""
    assert parameters_schema(unresolvable)["properties"] == {
        "known": {"type": "integer"},
        "unknown": {},
        "nested": {},
    }
    assert result_schema(unresolvable)["properties"] == {"value": {"type": "boolean"}}


def items() -> Iterator[int]:
    """Yields."""
    yield 1


def conversation() -> Generator[str, int, bool]:
    """Yields, takes and returns."""
    yield "a"
    return True


async def stream() -> AsyncIterator[Node]:
    """Yields, asynchronously."""
    yield Node("a")


async def long_stream() -> AsyncGenerator[int, None]:
    """Yields, by another name."""
    yield 1


async def fetch() -> list[int]:
    """Returns, asynchronously."""
    return [1]


def later() -> Awaitable[int]:
    """Returns what is to be awaited."""
    return fetch()  # type: ignore[return-value]


def nothing() -> None:
    """Returns nothing."""


@contextlib.contextmanager
def opened() -> Iterator[int]:
    """Is made something else of than it says."""
    yield 1


def untyped():  # type: ignore[no-untyped-def]  # noqa: ANN201 - that is the point
    """Says nothing."""


@pytest.mark.parametrize(
    ("function", "properties"),
    [
        (items, {"value": {"type": "array", "items": {"type": "integer"}}}),
        (
            conversation,
            {
                "value": {"type": "array", "items": {"type": "string"}},
                "returned": {"type": "boolean"},
            },
        ),
        (stream, {"value": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}),
        (long_stream, {"value": {"type": "array", "items": {"type": "integer"}}}),
        (fetch, {"value": {"type": "array", "items": {"type": "integer"}}}),
        (later, {}),
        (nothing, {"value": {"type": "null"}}),
        (untyped, {}),
        (opened, {}),
    ],
)
def test_results_are_described_as_they_are_recorded(
    function: Callable[..., Any], properties: dict[str, Any]
) -> None:
    """Results are wrapped; a generator's are its items; an awaitable's may be anything."""
    assert result_schema(function).get("properties", {}) == properties


def test_a_union_with_objects_offers_both_forms() -> None:
    """Objects are recorded unchanged and other values wrapped, so the schema offers both."""
    assert result_schema_of(dict[str, int] | str | int) == {
        "anyOf": [
            {
                "type": "object",
                "properties": {"error": {}},
                "additionalProperties": {"type": "integer"},
            },
            {
                "type": "object",
                "properties": {"value": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
            },
        ]
    }


def test_classes_with_the_same_name_are_distinguished() -> None:
    """Two classes of the same name in one signature have two definitions."""
    first = dataclasses.make_dataclass("Same", [("a", int)])
    second = dataclasses.make_dataclass("Same", [("b", str)])

    def both(one: Any, two: Any) -> None: ...

    both.__annotations__.update(one=first, two=second)
    schema = parameters_schema(both)

    assert schema["properties"]["one"] == {"$ref": "#/$defs/Same"}
    assert schema["properties"]["two"] == {"$ref": "#/$defs/Same_2"}
    assert list(schema["$defs"]["Same_2"]["properties"]) == ["b"]


class Endless:
    """A proxy that has every attribute, like those of mocks and remote calls."""

    def __getattr__(self, name: str) -> Any:
        return Endless()

    def __call__(self) -> None: ...


def falsely_annotated() -> None:
    """Has annotations that are not types."""


falsely_annotated.__annotations__ = {"return": "1 +", 3: ["?"]}  # type: ignore[dict-item]


@pytest.mark.parametrize("function", [Endless(), falsely_annotated])
def test_false_metadata_of_a_function_raises_nothing(function: Any) -> None:
    """A function with false metadata about itself is described without an error."""
    assert parameters_schema(function)["type"] == "object"
    assert result_schema(function)["type"] == "object"
    assert SpanTypes().trace(function)() is None


def test_an_oversized_schema_is_left_out() -> None:
    """A type with thousands of fields costs no run a megabyte of registration."""
    fields = [(f"field_{number}", list[dict[str, int]]) for number in range(3000)]

    assert schema_of(dataclasses.make_dataclass("Huge", fields)) == ANY_OBJECT
