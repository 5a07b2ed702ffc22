"""Encoding requests: bodies are encoded once, ids stay in their path segment, times are UTC."""

from __future__ import annotations

import copy
import json
import math
import sys
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum, IntEnum, StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from yarl import URL

from prefactor_http import AgentVersionForRegister, PrefactorRequestError, QualitySchemaForCreate
from prefactor_http._idempotency import idempotency_key
from prefactor_http._transport import encoding
from prefactor_http._transport.encoding import (
    encode_body,
    path_segment,
    query,
    timestamp,
    to_json_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True, params=["orjson", "json"])
def encoder(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run every test of this file with orjson and without it."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "json":
            patch.setitem(sys.modules, "orjson", None)
        encoding._fast.cache_clear()
        yield request.param
    encoding._fast.cache_clear()


def test_orjson_is_used_if_it_is_installed(encoder: str) -> None:
    """The fast encoder is used if it is installed, and everything works without it."""
    fast = encoding._fast()
    assert (fast is not None) == (encoder == "orjson")


UNICODE = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | UNICODE,
    lambda inner: st.lists(inner) | st.dictionaries(UNICODE, inner),
    max_leaves=20,
)


@given(st.dictionaries(UNICODE, JSON))
def test_a_body_reads_back_equal(body: dict[str, Any]) -> None:
    """Any JSON object reads back equal from its encoding."""
    encoded = encode_body(body)
    assert encoded == body
    assert json.loads(encoded.encoded) == body
    assert encoded.detached() == body
    assert to_json_text(encoded) == encoded.encoded.decode()


def test_a_body_is_encoded_once() -> None:
    """A later attempt sends the bytes of the first one, even if the caller changed the objects."""
    payload = {"list": [1]}
    encoded = encode_body({"payload": payload})
    payload["list"].append(2)
    assert encoded.encoded == b'{"payload":{"list":[1]}}'
    assert copy.deepcopy(encoded) == {"payload": {"list": [1]}}


class Endless:
    """Not JSON."""


def _circular() -> dict[str, Any]:
    inner: dict[str, Any] = {"x": 1}
    inner["self"] = inner
    return {"a": inner}


def _deep(levels: int, bottom: Any) -> dict[str, Any]:
    for _ in range(levels):
        bottom = {"n": bottom}
    return {"deep": bottom}


class Kind(Enum):
    """Values that are no text."""

    ONE = 1
    PAIR = (1, "two")
    NOTHING = None


class Word(StrEnum):
    """Text."""

    YES = "yes"


class Number(IntEnum):
    """Numbers."""

    TWO = 2


class Key(str):
    """Text of another type."""

    __slots__ = ()


ODD = (
    st.floats()
    | st.integers(-(2**70), 2**70)
    | st.text(st.characters(exclude_categories=[]), max_size=3)
    | st.sampled_from([Kind.ONE, Kind.PAIR, Kind.NOTHING, Word.YES, Number.TWO, Key("k")])
    | st.binary(max_size=2)
    | st.uuids()
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.builds(Endless)
)
KEYS = st.text(max_size=3) | st.sampled_from([1, None, True, 0.5, Word.YES, Key("k"), (1,)])


@given(
    st.dictionaries(
        UNICODE,
        st.recursive(
            JSON | ODD,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.lists(inner, max_size=3).map(tuple)
                | st.dictionaries(KEYS, inner, max_size=3)
                | st.dictionaries(UNICODE, inner, max_size=2).map(OrderedDict)
            ),
            max_leaves=8,
        ),
        max_size=3,
    )
)
def test_both_encoders_agree(body: dict[str, Any]) -> None:
    """Any body gives the same JSON, or the same error, with and without orjson."""
    encoding._fast()
    with pytest.MonkeyPatch.context() as patch:
        first = _outcome(body)
        patch.setattr(encoding, "_fast", lambda: None)
        assert _outcome(body) == first


def _outcome(body: dict[str, Any]) -> Any:
    try:
        return json.loads(encode_body(body).encoded)
    except PrefactorRequestError as error:
        return str(error), error.location


@pytest.mark.parametrize(
    ("body", "place", "problem"),
    [
        ({"a": math.nan}, "json_data.a", "nan has no JSON form"),
        ({"a": {"b": [1, {"c": -math.inf}]}}, "json_data.a.b[1].c", "-inf has no JSON form"),
        ({"a": [Endless()]}, "json_data.a[0]", "a value of type Endless"),
        ({"a": {1, 2}}, "json_data.a", "a value of type set"),
        ({"a": (1, b"raw")}, "json_data.a[1]", "a value of type bytes"),
        ({"a": "\ud800"}, "json_data.a", "text with unpaired surrogates"),
        ({"a": {(1, 2): "x"}}, "json_data.a", r"its key \(1, 2\) is not text"),
        (_circular(), "json_data.a.self", "it contains itself"),
        (_deep(300, Endless()), "json_data.deep" + ".n" * 300, "a value of type Endless"),
        (_deep(100_000, 1), "json_data", "it is nested too deeply"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, dict) else None,
)
def test_a_value_that_is_not_json_is_named(body: dict[str, Any], place: str, problem: str) -> None:
    """The error has the path of the value and what is wrong with it."""
    with pytest.raises(PrefactorRequestError, match=f"cannot be sent as JSON: {problem}") as info:
        encode_body(body)
    assert info.value.location == place
    assert str(info.value).startswith(f"{place} cannot")


def test_models_and_times_inside_a_body() -> None:
    """Models go by alias, datetimes as UTC, dates and UUIDs as text, enumerations by value."""

    class Mine(BaseModel):
        note: str | None = None
        at: datetime

    moment = datetime(2026, 4, 13, 0, 46)  # noqa: DTZ001 - naive on purpose
    body = encode_body(
        {
            "ours": AgentVersionForRegister(name="Bot"),
            "quality": QualitySchemaForCreate(name="q", schema_={"type": "object"}),
            "mine": Mine(at=datetime(2026, 1, 1, tzinfo=UTC)),
            "naive": moment,
            "day": date(2026, 4, 13),
            "id": UUID(int=1),
            "kinds": [Kind.ONE, Word.YES, Number.TWO],
        }
    )
    assert json.loads(body.encoded) == {
        "ours": {"name": "Bot"},
        "quality": {"name": "q", "schema": {"type": "object"}},
        "mine": {"note": None, "at": "2026-01-01T00:00:00Z"},
        "naive": "2026-04-13T00:46:00+00:00",
        "day": "2026-04-13",
        "id": "00000000-0000-0000-0000-000000000001",
        "kinds": [1, "yes", 2],
    }


def test_a_model_can_be_the_whole_body() -> None:
    """A request model is accepted where a dict is."""
    assert encode_body(AgentVersionForRegister(name="Bot")) == {"name": "Bot"}


@given(st.datetimes(), st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))
def test_every_timestamp_has_an_offset(moment: datetime, offset: timedelta) -> None:
    """A naive datetime means UTC, an aware one keeps its offset, and both read back equal."""
    assert datetime.fromisoformat(timestamp(moment)) == moment.replace(tzinfo=UTC)
    offset = timedelta(minutes=offset // timedelta(minutes=1))
    aware = moment.replace(tzinfo=timezone(offset))
    assert timestamp(aware) == aware.isoformat()


@given(UNICODE.filter(lambda value: value not in {"", ".", ".."}))
def test_an_id_stays_one_segment(value: str) -> None:
    """However an id is spelled, the URL has it as one segment, and no other endpoint is reached."""
    url = URL(f"http://h/api/v1/agent_instance/{path_segment('id', value)}/start")
    before, found, after = url.raw_path.rsplit("/", 2)
    assert (before, after) == ("/api/v1/agent_instance", "start")
    assert unquote(found) == value
    assert (url.query_string, url.fragment, url.host) == ("", "", "h")


@pytest.mark.parametrize("value", ["", ".", "..", None, "\ud800"])
def test_an_id_that_changes_the_path_is_refused(value: Any) -> None:
    """Empty and dot segments would be resolved away, so they are never sent."""
    with pytest.raises(PrefactorRequestError, match="agent_id") as info:
        path_segment("agent_id", value)
    assert info.value.location == "agent_id"


def test_query_values() -> None:
    """Booleans become true and false, None is left out, and datetimes have an offset."""
    assert query(
        {
            "yes": True,
            "no": False,
            "none": None,
            "n": 3,
            "f": 0.5,
            "text": "a b",
            "many": [1, True],
            "at": datetime(2026, 4, 13),  # noqa: DTZ001 - naive on purpose
            "day": date(2026, 4, 13),
        }
    ) == {
        "yes": "true",
        "no": "false",
        "n": 3,
        "f": 0.5,
        "text": "a b",
        "many": [1, "true"],
        "at": "2026-04-13T00:00:00+00:00",
        "day": "2026-04-13",
    }


@pytest.mark.parametrize("value", [math.nan, {"a": 1}, object()])
def test_a_query_value_that_cannot_be_sent_is_named(value: object) -> None:
    """The error names the parameter."""
    with pytest.raises(PrefactorRequestError, match=r"^params\.limit cannot be sent in a query"):
        query({"limit": value})


@given(st.none() | st.text(min_size=1, max_size=200))
def test_generated_keys(prefix: str | None) -> None:
    """A generated key fits into 64 characters and keeps its whole UUID, whatever the prefix."""
    first, second = idempotency_key(None, prefix), idempotency_key(None, prefix)
    assert first != second
    assert len(first) <= 64
    assert UUID(first[-36:]).version == 4
    assert str(UUID(first[-36:])) == first[-36:]
    if prefix:
        assert first[:-37] == prefix[:27]
        assert first[-37] == "-"


def test_given_keys() -> None:
    """A given key is used unchanged, up to 64 characters, even if empty."""
    assert idempotency_key("k" * 64) == "k" * 64
    assert idempotency_key("") == ""
    with pytest.raises(ValueError, match="at most 64 characters, got 65"):
        idempotency_key("k" * 65)
    with pytest.raises(PrefactorRequestError, match="printable"):
        idempotency_key("a\r\nX-Injected: 1")
