"""Type hints become schemas that the recorded values match."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import pathlib
import string
import typing
import uuid
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Required, TypedDict

import jsonschema_rs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel

from prefactor_recorder.encoding.values import encode, encode_object
from prefactor_recorder.span_types.function_schemas import (
    ANY_OBJECT,
    parameters_schema,
    result_schema,
    result_schema_of,
    schema_of,
)
from prefactor_recorder.span_types.json_schema import Schemas
from prefactor_recorder.span_types.registry import SpanTypes

if typing.TYPE_CHECKING:
    from nowhere import OnlyForTheChecker  # type: ignore[import-not-found]


class Colour(enum.Enum):
    RED = "red"
    NUMBER = 7


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


@dataclasses.dataclass
class Node:
    name: str
    children: list[Node] = dataclasses.field(default_factory=list)
    weight: float | None = None
    _hidden: int = 0


class Hit(TypedDict, total=False):
    title: Required[str]
    score: float
    tags: Annotated[list[str], "what it is about"]


class Partial(TypedDict):
    always: int
    sometimes: NotRequired[Annotated[str, "now and then"]]


class Point(NamedTuple):
    x: int
    label: str = ""


class Usage(BaseModel):
    tokens: int = Field(ge=0)
    model: str = Field(alias="modelName", default="m-1")


class Reply(BaseModel):
    text: str
    usage: Usage | None = None
    answers: list[Reply] = []


class Numbers(RootModel[list[int]]):
    pass


UserId = NewType("UserId", str)
T = typing.TypeVar("T")
Bound = typing.TypeVar("Bound", bound=str)
OneOf = typing.TypeVar("OneOf", int, str)

WORDS = st.text(string.ascii_letters, max_size=8)
INTEGERS = st.integers(-(2**63), 2**64 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
MODELS = st.builds(Usage, modelName=WORDS, tokens=st.integers(0, 9))
NODES = st.recursive(
    st.builds(Node, WORDS),
    lambda inner: st.builds(Node, WORDS, st.lists(inner, max_size=3), FLOATS),
    max_leaves=5,
)

# Hypothesis has values for these types by itself; for the others the table has them.
LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, INTEGERS),
    (float, FLOATS),
    (bool, st.booleans()),
    (str, WORDS),
    (None, st.none()),
    (bytes, st.binary(max_size=20)),
    (dt.datetime, st.datetimes()),
    (dt.date, st.dates()),
    (dt.time, st.times()),
    (dt.timedelta, st.timedeltas()),
    (uuid.UUID, st.uuids()),
    (decimal.Decimal, st.decimals(allow_nan=False)),
    (pathlib.PurePath, st.builds(pathlib.PurePosixPath, WORDS)),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Access, st.sampled_from([Access.READ, Access.READ | Access.WRITE])),
    (Literal["a", 1, Colour.RED] | None, st.sampled_from(["a", 1, None, Colour.RED])),
    (UserId, WORDS),
    (Bound, WORDS),
    (OneOf, WORDS | INTEGERS),
    (Any, WORDS | INTEGERS | st.none()),
    (object, WORDS | st.lists(INTEGERS)),
    (Node, NODES),
    (Point, st.builds(Point, INTEGERS, WORDS)),
    (Hit, st.fixed_dictionaries({"title": WORDS}, optional={"score": FLOATS})),
    (Partial, st.fixed_dictionaries({"always": INTEGERS}, optional={"sometimes": WORDS})),
    (Usage, MODELS),
    (Reply, st.builds(Reply, text=WORDS, usage=st.none() | MODELS, answers=st.just([]))),
    (Numbers, st.builds(Numbers, st.lists(st.integers(0, 9)))),
    (collections.Counter[str], st.builds(collections.Counter, WORDS)),
    (Annotated[int, "how many"], INTEGERS),
    (int | Colour | None, INTEGERS | st.sampled_from(Colour) | st.none()),
]


def around(inner: tuple[Any, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Types that hold another type, each with a strategy for its values."""
    hint, values = inner
    few = st.lists(values, max_size=3)
    return st.sampled_from(
        [
            (list[hint], few),
            (Sequence[hint], few),
            (collections.deque[hint], few.map(collections.deque)),
            (tuple[hint, ...], few.map(tuple)),
            (tuple[hint, int], st.tuples(values, INTEGERS)),
            (tuple[()], st.just(())),
            (dict[str, hint], st.dictionaries(WORDS, values, max_size=3)),
            (Mapping[str, hint], st.dictionaries(WORDS, values, max_size=3)),
            (typing.Union[hint, str], values | WORDS),  # noqa: UP007 - the other spelling
            (typing.Optional[hint], values | st.none()),  # noqa: UP045 - the other spelling
            (Annotated[hint, "described"], values),
        ]
    )


TYPES = st.recursive(st.sampled_from(LEAVES), lambda inner: inner.flatmap(around), max_leaves=6)


@given(TYPES.flatmap(lambda each: st.tuples(st.just(each[0]), each[1])))
def test_a_recorded_value_matches_the_schema_of_its_type(drawn: tuple[Any, Any]) -> None:
    """What the recorder writes for a value of a type is what the type's schema describes."""
    hint, value = drawn
    schemas = Schemas()
    schema = schemas.whole(schemas.of(hint))

    jsonschema_rs.validator_for(schema).validate(orjson.loads(encode(value)))


@given(TYPES.flatmap(lambda each: st.tuples(st.just(each[0]), each[1])))
def test_a_recorded_payload_matches_the_schema_of_its_type(drawn: tuple[Any, Any]) -> None:
    """The wrapping of values that are no objects is the same in the schema as in the record."""
    hint, value = drawn
    # No argument at all is an empty payload, and None as a result is recorded as a value.
    payload = orjson.loads(encode_object({"value": None} if value is None else value))

    for schema in (schema_of(hint), result_schema_of(hint)):
        jsonschema_rs.validator_for(schema).validate(payload)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: str(leaf[0]))
def test_the_result_of_a_failed_span_matches(leaf: tuple[Any, Any]) -> None:
    """A span that failed has an error and no result; its schema does not call that a mistake."""
    failed = {"error": {"error_type": "ValueError", "message": "", "stacktrace": ""}}

    jsonschema_rs.validator_for(result_schema_of(leaf[0])).validate(failed)


@pytest.mark.parametrize(
    ("hint", "wrong"),
    [
        (int, "1"),
        (list[int], ["1"]),
        (tuple[int, str], [1]),
        (tuple[int, str], [1, 2]),
        (dict[str, int], {"a": "b"}),
        (int | None, "x"),
        (Literal["a", "b"], "c"),
        (Colour, "RED"),
        (Node, {"name": "a", "children": [{"name": 1}]}),
        (Node, {}),
        (Hit, {"score": 1.0}),
        (Partial, {"sometimes": "x"}),
        (Usage, {"tokens": -1, "model": "m"}),
        (Point, [1]),
    ],
)
def test_a_value_of_another_type_does_not_match(hint: Any, wrong: Any) -> None:
    """Schemas are not merely permissive: they notice what the type would."""
    schemas = Schemas()
    schema = schemas.whole(schemas.of(hint))

    assert not jsonschema_rs.validator_for(schema).is_valid(wrong)


def test_parameters_are_described_by_name() -> None:
    """Names, types, what is required, defaults, `*args` and `**kwargs`, as they are recorded."""

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
def test_the_object_of_a_method_is_no_parameter(
    function: Callable[..., Any], names: list[str]
) -> None:
    """`self` and `cls` are left out, and arguments that a partial object has bound already."""
    assert list(parameters_schema(function)["properties"]) == names


def unresolvable(known: int, unknown: OnlyForTheChecker, nested: list[OnlyForTheChecker]) -> bool:
    """Has annotations that exist for the type checker alone."""
    return bool(known or unknown or nested)


def test_one_unknown_name_does_not_cost_the_others() -> None:
    """A hint that cannot be resolved describes nothing; the rest of the function is described."""
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
    """Results are wrapped; of a generator it is the items; an awaitable may come to anything."""
    assert result_schema(function).get("properties", {}) == properties


def test_a_result_that_may_be_an_object_or_not_is_described_as_both() -> None:
    """Objects are recorded as they are and other values wrapped, so the schema offers both."""
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


def test_classes_with_one_name_are_told_apart() -> None:
    """Two classes of the same name in one signature have two definitions."""
    first = dataclasses.make_dataclass("Same", [("a", int)])
    second = dataclasses.make_dataclass("Same", [("b", str)])

    def both(one: Any, two: Any) -> None: ...

    both.__annotations__.update(one=first, two=second)
    schema = parameters_schema(both)

    assert schema["properties"]["one"] == {"$ref": "#/$defs/Same"}
    assert schema["properties"]["two"] == {"$ref": "#/$defs/Same_2"}
    assert list(schema["$defs"]["Same_2"]["properties"]) == ["b"]


class Hostile(type):
    def __subclasscheck__(cls, other: type) -> bool:
        raise RuntimeError("no questions")

    def __getattr__(cls, name: str) -> Any:
        raise RuntimeError(name)


class Unasked(metaclass=Hostile):
    pass


NONSENSE: list[Any] = [
    Unasked,
    list[Unasked],
    "no name of anything",
    "1 +",
    3,
    [int],
    typing.Callable[[int], str],
    type[int],
    T,
    typing.Self,
    typing.Never,
    typing.ParamSpec("P"),
    ...,
]


@pytest.mark.parametrize("hint", NONSENSE, ids=map(str, range(len(NONSENSE))))
def test_a_hint_that_means_nothing_here_describes_anything(hint: Any) -> None:
    """Whatever stands in an annotation, describing the function does not fail."""

    def strange(argument: Any) -> Any:
        return argument

    strange.__annotations__.update({"argument": hint, "return": hint})
    described = parameters_schema(strange)["properties"]["argument"]

    assert described in ({}, {"type": "array"}), described
    assert result_schema(strange)["type"] == "object"


@pytest.mark.parametrize("function", [print, int, max, functools.partial(print, "a"), 3, len])
def test_what_is_written_in_c_has_a_schema_too(function: Any) -> None:
    """A function that does not tell its signature takes some object."""
    assert parameters_schema(function)["type"] == "object"
    assert result_schema(function) == ANY_OBJECT


class Endless:
    """A proxy that has every attribute, as those of mocking and remote calls do."""

    def __getattr__(self, name: str) -> Any:
        return Endless()

    def __call__(self) -> None: ...


def falsely_annotated() -> None:
    """Has annotations that are not types."""


falsely_annotated.__annotations__ = {"return": "1 +", 3: ["?"]}  # type: ignore[dict-item]


@pytest.mark.parametrize("function", [Endless(), falsely_annotated])
def test_a_function_that_lies_about_itself_has_a_schema(function: Any) -> None:
    """What an object claims about itself may be anything, and describing it does not fail."""
    assert parameters_schema(function)["type"] == "object"
    assert result_schema(function)["type"] == "object"
    assert SpanTypes().trace(function)() is None


def test_a_schema_that_would_be_huge_says_nothing() -> None:
    """A type with thousands of fields costs no run a megabyte of registration."""
    fields = [(f"field_{number}", list[dict[str, int]]) for number in range(3000)]

    assert schema_of(dataclasses.make_dataclass("Huge", fields)) == ANY_OBJECT
