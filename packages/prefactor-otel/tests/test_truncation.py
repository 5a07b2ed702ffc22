"""A payload over the limit is cut at its largest fields, and says so."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from prefactor_otel.truncation import MARK, SHORTEST_TEXT, truncate

TEXTS = st.text(max_size=40) | st.builds(
    lambda text, times: text * times, st.text(min_size=1, max_size=9), st.integers(1, 600)
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=60), inner, max_size=12)
    ),
    max_leaves=25,
)
PAYLOADS = st.dictionaries(TEXTS, VALUES, max_size=8).map(orjson.dumps)


def cut_to(payload: dict[str, Any], limit: int) -> dict[str, Any]:
    """Return the decoded rest of a payload, after checking the limit."""
    left = truncate(orjson.dumps(payload), limit)
    assert len(left) <= limit
    decoded = json.loads(left)
    assert isinstance(decoded, dict)
    return decoded


@given(PAYLOADS, st.integers(0, 4000))
def test_the_result_is_json_within_the_limit(payload: bytes, limit: int) -> None:
    """For any payload and limit, the result is an object that fits."""
    left = truncate(payload, limit)

    assert len(left) <= max(limit, len(b"{}"))
    assert isinstance(json.loads(left), dict)


@given(PAYLOADS, st.integers(0, 4000))
def test_a_payload_that_fits_is_the_same_object(payload: bytes, spare: int) -> None:
    """A payload that fits is returned as the same object."""
    assert truncate(payload, len(payload) + spare) is payload


@given(PAYLOADS, st.integers(300, 4000))
def test_a_cut_payload_names_its_size_and_the_cut_fields(payload: bytes, limit: int) -> None:
    """The mark has the original size, and names at least one field."""
    assume(len(payload) > limit)

    mark = json.loads(truncate(payload, limit))[MARK]

    assert mark["original_size"] == len(payload)
    assert mark["fields"] or mark["more"]


@given(PAYLOADS, st.integers(300, 2000), st.integers(300, 4000))
def test_the_original_size_survives_a_second_cut(payload: bytes, small: int, more: int) -> None:
    """A payload cut again to a smaller limit still has its original size."""
    assume(len(payload) > small + more)

    again = truncate(truncate(payload, small + more), small)

    assert len(again) <= small
    assert json.loads(again)[MARK]["original_size"] == len(payload)


@given(st.lists(st.text(min_size=1), min_size=1).map("".join), st.integers(300, 3000))
def test_a_cut_text_is_a_beginning_of_the_text(text: str, limit: int) -> None:
    """A cut text is a prefix of the original: no character or escape is split."""
    left = cut_to({"text": text * 400}, limit)["text"]

    assert (text * 400).startswith(left.removesuffix("…"))


def test_the_longest_texts_lose_the_most() -> None:
    """Short texts stay whole, and long ones are cut to one length."""
    left = cut_to({"model": "m-1", "a": "x" * 9_000, "b": "y" * 50_000, "short": "z" * 900}, 10_000)

    assert left["model"] == "m-1"
    assert left["short"] == "z" * 900
    assert len(left["a"]) == len(left["b"]) > 3_000
    assert left[MARK] == {"original_size": 59_940, "fields": ["a", "b"]}


def test_texts_are_cut_before_lists() -> None:
    """A list of many small items stays whole if shortening texts is enough."""
    left = cut_to({"history": list(range(1000)), "prompt": "p" * 100_000}, 20_000)

    assert left["history"] == list(range(1000))
    assert left[MARK]["fields"] == ["prompt"]


def test_most_of_the_limit_is_used() -> None:
    """A cut keeps nearly as much as fits."""
    for payload in ({"text": "é" * 100_000}, {"items": [[number] * 9 for number in range(9000)]}):
        assert len(truncate(orjson.dumps(payload), 50_000)) > 45_000


def test_a_list_that_is_too_long_keeps_its_beginning() -> None:
    """Without a text to shorten, the largest list loses its end, and is named."""
    left = cut_to({"small": [1, 2], "rows": {"all": list(range(100_000))}}, 5_000)

    assert left["small"] == [1, 2]
    assert left["rows"]["all"] == list(range(len(left["rows"]["all"])))
    assert left[MARK]["fields"] == ["rows.all"]


def test_a_place_inside_a_list_is_named_by_its_index() -> None:
    """Paths read as one would write them in code."""
    messages = [{"content": "short"}, {"content": "l" * 9_000}]

    assert cut_to({"messages": messages}, 5_000)[MARK]["fields"] == ["messages[1].content"]


def test_an_object_with_too_many_members_is_cut() -> None:
    """An object with a million small members keeps the first; `$` says where some are missing."""
    left = cut_to({f"k{number}": number for number in range(100_000)}, 5_000)

    assert left["k0"] == 0
    assert left[MARK]["fields"] == ["$"]


def test_a_member_with_an_overlong_name_is_dropped() -> None:
    """A member whose name is too long is dropped, and the others stay."""
    left = cut_to({"a": 1, "n" * 90_000: "value", "b": 2}, 5_000)

    assert {name: value for name, value in left.items() if name != MARK} == {"a": 1, "b": 2}
    assert len(left[MARK]["fields"][0]) <= 120


@pytest.mark.parametrize("bracket", ["list", "object"])
def test_deep_nesting_is_cut_within_bounds(bracket: str) -> None:
    """Very deep nesting costs no recursion and gives a bounded result."""
    value: Any = "x" * 200_000
    for _ in range(250):
        value = [value, list(range(300))] if bracket == "list" else {"in": value, "n": [0] * 300}

    cut_to({"value": value}, 4_000)


def test_cut_fields_that_cannot_be_named_are_counted() -> None:
    """The marker is bounded too: it names the fields that fit and counts the rest."""
    fields = {f"field {number}": "t" * 3 * SHORTEST_TEXT for number in range(400)}

    mark = cut_to(fields, 400 * 2 * SHORTEST_TEXT)[MARK]

    assert len(mark["fields"]) + mark["more"] == 400
    assert len(json.dumps(mark)) <= 2048 + 400


@pytest.mark.parametrize("mark", [None, 1, "x", [], {"original_size": "9", "fields": 3}])
def test_a_forged_mark_is_replaced(mark: Any) -> None:
    """A member that only looks like a mark is replaced by a true one."""
    payload = {MARK: mark, "text": "t" * 9_000}

    assert cut_to(payload, 3_000)[MARK] == {
        "original_size": len(orjson.dumps(payload)),
        "fields": ["text"],
    }
