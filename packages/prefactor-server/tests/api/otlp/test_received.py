"""What is read from resources, spans and log records, whatever their encoding."""

from typing import Any

import pytest

from prefactor_server.domain.times import MAX_TIME_US
from prefactor_server.otlp.received import (
    MAX_NAME,
    MAX_VALUES,
    Counter,
    ReceivedEvent,
    ReceivedSpan,
    Rejected,
    Resource,
    json_number,
    times,
)


@pytest.mark.parametrize(
    ("attributes", "resource"),
    [
        ({}, ("unknown_service", None, None)),
        ({"service.name": "", "service.version": ""}, ("unknown_service", None, None)),
        (
            {"service.name": "a", "service.version": 2, "deployment.environment": "old"},
            ("a", "2", "old"),
        ),
        (
            {"deployment.environment.name": "new", "deployment.environment": "old"},
            ("unknown_service", None, "new"),
        ),
        (
            {"service.name": "x" * 300, "service.version": "a\0b"},
            ("x" * MAX_NAME, "a\N{REPLACEMENT CHARACTER}b", None),
        ),
    ],
)
def test_a_resource_names_agent_version_and_environment(
    attributes: dict[str, Any], resource: tuple[str, str | None, str | None]
) -> None:
    """The newest names count, and a name that is missing, empty or too long has its replacement."""
    assert Resource.of(attributes) == resource


def _span(attributes: dict[str, Any]) -> ReceivedSpan:
    return ReceivedSpan("t", "s", None, True, "n", 1, 2, False, None, attributes, [], None)


def test_metadata_are_the_ids_of_a_run() -> None:
    """Ids of conversation, session and user are texts of at most 256 characters.

    Empty ids and those that Logfire scrubbed are left out.
    """
    ids = {"gen_ai.conversation.id": 7, "session.id": "s" * 300, "user.id": "a\0"}
    found = {
        "conversation_id": "7",
        "session_id": "s" * 256,
        "user_id": "a\N{REPLACEMENT CHARACTER}",
    }
    scrubbed = {"session.id": "[Scrubbed due to 'session']", "user.id": "", "other": "x"}

    assert _span(ids).metadata() == found
    assert _span(scrubbed).metadata() == {}


def _event(name: str, attributes: dict[str, Any], body: Any) -> ReceivedEvent | None:
    return ReceivedEvent.of(
        trace_id="t", span_id="s", name=name, at=5, attributes=attributes, body=body
    )


def test_an_event_is_read_in_both_forms() -> None:
    """Its name is a field or an attribute, its content the body, and attributes come first."""
    old = {"event.name": "gen_ai.choice", "index": 1}

    assert _event("gen_ai.choice", {"index": 1}, {"index": 0, "message": "m"}) == ReceivedEvent(
        "t", "s", "gen_ai.choice", 5, {"index": 1, "message": "m"}
    )
    assert _event("", old, "text") == ReceivedEvent(
        "t", "s", "gen_ai.choice", 5, {**old, "content": "text"}
    )
    assert _event("gen_ai.choice", {}, None) == ReceivedEvent("t", "s", "gen_ai.choice", 5, {})
    for name, attributes in (("exception", old), ("", {}), ("", {"event.name": "x.gen_ai."})):
        assert _event(name, attributes, {}) is None


def test_times_are_microseconds() -> None:
    """A missing time is replaced by the other one, and a span without times is rejected."""
    last = MAX_TIME_US * 1000 + 999

    assert times(1_999, 5_000) == (1, 5)
    assert times(0, 5_000) == (5, 5)
    assert times(5_000, 0) == (5, 5)
    assert times(last, last) == (MAX_TIME_US, MAX_TIME_US)
    for start, end in ((0, 0), (999, 0), (1_000, last + 1), (last + 1, 1_000)):
        with pytest.raises(Rejected) as raised:
            times(start, end)
        assert raised.value.reason.startswith("has ")


def test_numbers_that_json_cannot_express_are_texts() -> None:
    """Infinities and NaN are written as OTLP writes them."""
    infinity = float("inf")

    assert [json_number(one) for one in (0.5, infinity, -infinity, float("nan"))] == [
        0.5,
        "Infinity",
        "-Infinity",
        "NaN",
    ]


def test_a_span_has_a_limited_number_of_values() -> None:
    """Exactly so many values are accepted, however they are counted."""
    counter = Counter()
    counter.count(MAX_VALUES - 1)
    counter.count(1)

    with pytest.raises(Rejected):
        counter.count(1)
