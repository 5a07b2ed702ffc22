"""A type becomes the JSON Schema that its encoded values match."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import functools
import pathlib
import string
import typing
import uuid
from collections.abc import (
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
from schema_types import Node


class Colour(enum.Enum):
    RED = "red"
    NUMBER = 7


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


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
# Hypothesis has strategies for these types; the table has those of the others.
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
    """A type's schema describes what the recorder writes for its values."""
    hint, value = drawn
    schemas = Schemas()
    schema = schemas.whole(schemas.of(hint))

    jsonschema_rs.validator_for(schema).validate(orjson.loads(encode(value)))


@given(TYPES.flatmap(lambda each: st.tuples(st.just(each[0]), each[1])))
def test_a_recorded_payload_matches_the_schema_of_its_type(drawn: tuple[Any, Any]) -> None:
    """Values other than objects are wrapped in the schema as they are in the record."""
    hint, value = drawn
    # A call without arguments has an empty payload, and a result of None is recorded as a value.
    payload = orjson.loads(encode_object({"value": None} if value is None else value))

    for schema in (schema_of(hint), result_schema_of(hint)):
        jsonschema_rs.validator_for(schema).validate(payload)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: str(leaf[0]))
def test_the_result_of_a_failed_span_matches(leaf: tuple[Any, Any]) -> None:
    """A failed span has an error and no result, and still matches its schema."""
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
    """Schemas reject values of other types."""
    schemas = Schemas()
    schema = schemas.whole(schemas.of(hint))

    assert not jsonschema_rs.validator_for(schema).is_valid(wrong)


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
def test_an_unknown_hint_describes_anything(hint: Any) -> None:
    """Any annotation can be described without an error."""

    def strange(argument: Any) -> Any:
        return argument

    strange.__annotations__.update({"argument": hint, "return": hint})
    described = parameters_schema(strange)["properties"]["argument"]

    assert described in ({}, {"type": "array"}), described
    assert result_schema(strange)["type"] == "object"


@pytest.mark.parametrize("function", [print, int, max, functools.partial(print, "a"), 3, len])
def test_a_function_written_in_c_has_a_schema(function: Any) -> None:
    """A function without a signature takes any object."""
    assert parameters_schema(function)["type"] == "object"
    assert result_schema(function) == ANY_OBJECT
