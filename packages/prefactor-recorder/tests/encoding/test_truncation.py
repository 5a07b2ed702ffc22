"""Encoding a value costs no more than the part that is recorded, however large the value is."""

from __future__ import annotations

import array
import itertools
import json
import tracemalloc
from collections import UserDict, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from prefactor_otel.truncation import MARK
from prefactor_recorder.encoding.plain_json import MAX_DEPTH
from prefactor_recorder.encoding.truncation import MAX_STEPS
from prefactor_recorder.encoding.values import encode_object
from prefactor_recorder.span_types.generators import OMITTED
from prefactor_recorder.span_types.registry import SpanTypes
from prefactor_recorder.testing import InMemoryRecorder

LIMIT = 100_000
MOST_MEMORY = 32 * 1024 * 1024
types = SpanTypes()


def doubled(times: int) -> list[Any]:
    """Return a list in which each level has the next twice: 2 to the power of `times` paths."""
    value: list[Any] = [1]
    for _ in range(times):
        value = [value, value]
    return value


def history(length: int) -> list[Any]:
    """Messages that quote all messages before them."""
    messages: list[Any] = []
    for number in range(length):
        messages.append({"role": "user", "content": f"message {number}", "history": messages[:]})
    return messages


class Counted(Sequence[Any]):
    """A lazy sequence that counts its reads."""

    def __init__(self, length: int = 10_000_000) -> None:
        self.asked = 0
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        self.asked += 1
        return {"number": index}


class Endless(dict[Any, Any]):
    """A dict with endless members."""

    def __iter__(self) -> Iterator[Any]:
        return itertools.count()

    def __getitem__(self, key: Any) -> Any:
        return key


class Lying(list[Any]):
    """A list with a wrong length."""

    def __len__(self) -> int:
        return 10**18

    def __iter__(self) -> Iterator[Any]:
        return itertools.count()


class Rows:
    """A library's array, whose `tolist` must not be called for all of it."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns

    @property
    def size(self) -> int:
        """The number of cells."""
        return self.rows * self.columns

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, part: slice) -> Rows:
        return Rows(len(range(*part.indices(self.rows))), self.columns)

    def tolist(self) -> list[list[int]]:
        """All cells."""
        assert self.size <= MAX_STEPS
        return [[0] * self.columns] * self.rows


class Message(BaseModel):
    """A model of usual size."""

    role: str = "user"
    content: str = "x" * 300
    parts: list[dict[str, int]] = [{"a": 1}, {"b": 2}]


class Chat(BaseModel):
    """A model with a very large member."""

    title: str = "kept"
    numbers: Any = None


MESSAGE = Message()
NOT_OPENED: list[Any] = ["<Rows>", {"title": "kept", "numbers": "<range>"}]
"""Values that are recorded by name and not read."""
VALUES: dict[str, Any] = {
    "range": range(5_000_000_000),
    "lazy sequence": Counted(),
    "doubled": doubled(60),
    "history": history(40),
    "one model often": [MESSAGE] * 5_000,
    "models": [Message() for _ in range(2_000)],
    "array": array.array("d", bytes(800_000)),
    "list of numbers": list(range(200_000)),
    "list of large numbers": [10**30] * 50_000,
    "long text": "x" * 3_000_000,
    "texts": ["é" * 10_000] * 1_000,
    "control characters": "\x01" * 300_000,
    "bytes": b"\xff" * 3_000_000,
    "memory": memoryview(b"text" * 1_000_000),
    "dict": dict.fromkeys(range(100_000)),
    "dict of texts": {str(number): str(number) for number in range(100_000)},
    "mapping": UserDict({str(number): number for number in range(100_000)}),
    "long names": {f"{'n' * 2_000}{number}": 1 for number in range(500)},
    "one long name": {"n" * 5_000_000: 1},
    "endless dict": Endless(),
    "lying list": Lying(),
    "set": set(range(100_000)),
    "deque": deque(range(100_000)),
    "rows": Rows(1_000_000, 10),
    "one row": Rows(1, 1_000_000_000),
    "small lists": [[] for _ in range(50_000)],
    "matrix": [[[0] * 10] * 100] * 10_000,
    "model": Chat(numbers=list(range(1_000_000))),
    "model of a range": Chat(numbers=range(5_000_000_000)),
    "model of an endless iterator": Chat(numbers=itertools.count()),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_huge_value_is_bounded(name: str) -> None:
    """A huge value loses its end, its neighbours stay, and memory does not grow with it."""
    payload = {"model": "m-1", "value": VALUES[name], "question": "q" * 200}

    tracemalloc.start()
    encoded = encode_object(payload, LIMIT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    kept = json.loads(encoded)
    assert len(encoded) <= LIMIT
    assert peak < MOST_MEMORY
    assert kept["model"] == "m-1"
    assert kept["question"].startswith("q" * 50)
    if kept["value"] not in NOT_OPENED:
        assert kept[MARK]["fields"]


def test_a_lazy_sequence_is_read_only_as_far_as_recorded() -> None:
    """Members beyond the limit are not computed."""
    sequence = Counted()

    kept = json.loads(encode_object({"value": sequence}, 1_000_000))

    assert kept["value"][:2] == [{"number": 0}, {"number": 1}]
    assert len(kept["value"]) <= sequence.asked <= MAX_STEPS
    assert kept[MARK]["fields"] == ["value"]


def test_iterators_are_not_consumed() -> None:
    """A generator in a payload keeps all of its items, inside a model too."""
    numbers, others = iter([1, 2]), (number for number in range(2))

    encode_object({"a": numbers, "b": Chat(numbers=others), "c": map(str, [1])})

    assert (list(numbers), list(others)) == ([1, 2], [0, 1])


def test_a_repeated_model_is_dumped_once() -> None:
    """Five thousand references to one model cost one dump."""
    asked: list[int] = []

    class Asking(Message):
        """A model that counts how often it is dumped."""

        def model_dump(self, **options: Any) -> dict[str, Any]:
            """The usual."""
            asked.append(1)
            return super().model_dump(**options)

    kept = json.loads(encode_object({"value": [Asking()] * 5_000}))

    assert len(asked) == 1
    assert kept["value"][1] == kept["value"][0]


def nested(levels: int, kind: str) -> Any:
    """A value of that many levels."""
    value: Any = 1
    for _ in range(levels):
        value = {"in": value} if kind == "object" else [value] if kind == "list" else (value,)
    return value


def levels_of(value: Any) -> int:
    """How deep a value is nested."""
    levels = 0
    while isinstance(value, dict | list):
        value = (value.get("in") or value.get("value")) if isinstance(value, dict) else value[0]
        levels += 1
    return levels


@pytest.mark.parametrize("kind", ["object", "list", "tuple"])
@pytest.mark.parametrize("levels", [MAX_DEPTH - 2, MAX_DEPTH - 1, MAX_DEPTH, 120, 254, 260, 5_000])
@pytest.mark.parametrize("odd", [False, True])
def test_deep_nesting_is_cut_and_marked(levels: int, kind: str, odd: bool) -> None:
    """One depth for every value, whether it is copied or not; the place of the cut is named."""
    payload = {"in": nested(levels, kind)} | ({1: object()} if odd else {})

    kept = json.loads(encode_object(payload))

    assert levels_of(kept) == min(levels + 1, MAX_DEPTH)
    assert (MARK in kept) == (levels >= MAX_DEPTH)


def test_cut_items_of_a_generator_are_named_in_its_result() -> None:
    """An item that is too deep or too large is cut, and the result names it."""

    @types.trace("steps")
    def steps() -> Iterator[Any]:
        yield 1
        yield nested(200, "list")
        yield {"text": "x" * 1_000_000}
        yield 2

    with InMemoryRecorder() as recorder, recorder.run():
        list(steps())

    result: Any = recorder.span_named("steps").result
    assert result["value"][0] == 1
    assert len(result["value"]) + result.get(OMITTED, 0) == 4
    assert result[MARK]["fields"][0].startswith("value[1]")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({1: "int", "1": "text"}, {"1": "text", "1 (2)": "int"}),
        ({"1": "text", 1: "int"}, {"1": "text", "1 (2)": "int"}),
        (dict(zip("\ud800\ud801?", (1, 2, 3), strict=True)), {"? (2)": 1, "? (3)": 2, "?": 3}),
        ({1: "a", "1": "b", "1 (2)": "c"}, {"1 (3)": "a", "1": "b", "1 (2)": "c"}),
        ({None: 1, "None": 2, True: 3}, {"None (2)": 1, "None": 2, "True": 3}),
        ({b"a": 1, "a": 2}, {"a (2)": 1, "a": 2}),
    ],
)
def test_members_whose_names_collide_as_text_are_all_kept(
    given: Mapping[Any, Any], kept: Mapping[str, Any]
) -> None:
    """A text name is kept, and other names that become the same text are numbered."""
    assert json.loads(encode_object(given)) == kept
