"""Any host value becomes a JSON object, without being changed."""

import dataclasses
import enum
import json
import uuid
from collections import OrderedDict, UserDict, deque
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from prefactor_recorder.encoding.plain_json import MAX_DEPTH
from prefactor_recorder.encoding.values import encode_object


class Colour(enum.Enum):
    RED = "red"


class Model(BaseModel):
    size: int
    when: datetime


@dataclasses.dataclass
class Point:
    x: int
    far: Any = None


class Lying(dict[Any, Any]):
    """A dict whose members cannot be read."""

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, key: Any) -> Any:
        if key == "b":
            raise RuntimeError
        return super().__getitem__(key)


class Unready(Point):
    """A dataclass whose attribute cannot be read yet."""

    def __getattribute__(self, name: str) -> Any:
        if name == "far":
            raise RuntimeError
        return super().__getattribute__(name)


class Angry:
    def __repr__(self) -> str:
        raise ValueError

    def model_dump(self, **_: object) -> dict[str, Any]:
        raise ValueError


MOMENT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
IDENTIFIER = uuid.UUID(int=1)

CASES: list[tuple[object, object]] = [
    (None, {}),
    ({"a": 1}, {"a": 1}),
    ("text", {"value": "text"}),
    (7, {"value": 7}),
    ([1, 2], {"value": [1, 2]}),
    (Point(1, {3: 4}), {"x": 1, "far": {"3": 4}}),
    (Model(size=1, when=MOMENT), {"size": 1, "when": "2026-01-31T09:30:00Z"}),
    (OrderedDict(a=1), {"a": 1}),
    (UserDict(a=1), {"a": 1}),
    ({"a": Colour.RED, "b": IDENTIFIER, "c": MOMENT},
     {"a": "red", "b": str(IDENTIFIER), "c": "2026-01-31T09:30:00Z"}),
    ({"a": datetime(2026, 1, 31)}, {"a": "2026-01-31T00:00:00Z"}),  # noqa: DTZ001 - the point
    ({"a": Decimal("1.50"), "b": PurePosixPath("/a/b")}, {"a": "1.50", "b": "/a/b"}),
    ({"a": {2}, "b": deque([1]), "c": (3, 4)}, {"a": [2], "b": [1], "c": [3, 4]}),
    ({"a": b"text", "b": b"\xff"}, {"a": "text", "b": "/w=="}),
    ({"a": float("nan"), "b": float("inf")}, {"a": None, "b": None}),
    ({"a": 10**30}, {"a": str(10**30)}),
    ({1: "a", (1, 2): "b"}, {"1": "a", "(1, 2)": "b"}),
    ({"a": "\ud800", "\udfff": 1}, {"a": "?", "?": 1}),
    ({"a": ValueError("no")}, {"a": "no"}),
    ({"a": Angry()}, {"a": "<Angry>"}),
    ({"a": 10**5000, "b": 1}, {"a": "<int of 16610 bits>", "b": 1}),
    ({"a": -(10**5000), "b": 1}, {"a": "<int of 16610 bits>", "b": 1}),
    (Lying({1: 1, "b": 2}), {"1": 1, "b": None}),
    ({"a": Unready(1, 2), 3: 1}, {"a": {"x": 1, "far": None}, "3": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "kept"), CASES)
def test_values_become_json(value: object, kept: object) -> None:
    """Models, dates, sets, bytes and numbers beyond JSON arrive in the form a reader expects."""
    assert json.loads(encode_object(value)) == kept


def test_a_cycle_is_cut_where_it_closes() -> None:
    """An object that contains itself is recorded once."""
    value: dict[str, Any] = {"name": "a"}
    value["self"] = value
    assert json.loads(encode_object(value)) == {"name": "a", "self": "..."}


def test_deep_nesting_is_cut() -> None:
    """A structure a thousand levels deep is recorded down to a limit."""
    value: dict[str, Any] = {}
    inner = value
    for _ in range(1000):
        inner["a"] = inner = {}
    kept = json.loads(encode_object(value))
    depth = 0
    while isinstance(kept, dict):
        kept, depth = kept["a"], depth + 1
    assert depth == MAX_DEPTH


def test_a_dense_graph_is_bounded() -> None:
    """A dense graph has too many paths to walk, so the recorded part is bounded."""
    nodes: list[dict[str, Any]] = [{"number": number} for number in range(30)]
    for node in nodes:
        node["others"] = [other for other in nodes if other is not node]
    encoded = encode_object({"nodes": nodes, "last": "kept"})
    assert len(encoded) < 10_000_000
    kept = json.loads(encoded)
    assert kept["nodes"][0]["others"][0]["number"] == 1
    assert kept["last"] == "kept"


def test_a_key_of_many_tuples_is_bounded() -> None:
    """A tuple of tuples as a key becomes a name without a walk over all of its members."""
    walked: list[PurePosixPath] = []

    class Walked(PurePosixPath):
        def __str__(self) -> str:
            walked.append(self)
            return "a"

    key: Any = Walked("a")
    for _ in range(3):
        key = (key,) * 64
    (name,) = json.loads(encode_object({key: 1}))

    assert name.startswith("(((a, a, ")
    assert len(walked) < 64**2


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[]))
    | st.binary()
    | st.datetimes()
    | st.decimals()
    | st.uuids()
    | st.builds(object),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner)
        | st.tuples(inner)
        | st.builds(Point, st.integers(), inner)
    ),
)


@given(anything)
def test_any_value_becomes_a_json_object(value: object) -> None:
    """No value makes the encoding fail, and the result is one JSON object in UTF-8."""
    assert isinstance(json.loads(encode_object(value).decode()), dict)
