"""Invalid arguments are made to fit the API, or refused at once."""

import logging
from typing import Any
from uuid import UUID

import pytest

from prefactor_recorder import ConfigurationError, Recorder, SpanTypes
from prefactor_recorder.corrections import MAX_NAME, MAX_TEXT, corrected_name, corrected_text
from prefactor_recorder.testing import InMemoryRecorder

LONG = "x" * 1000


@pytest.mark.parametrize(
    ("given", "text", "change"),
    [
        ("as it is", "as it is", ""),
        ("", "", "is empty and is left out"),
        (7, "7", "is recorded as text"),
        (1.5, "1.5", "is recorded as text"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001", "is recorded as text"),
        ("a\0b", "ab", "is recorded without NUL and unpaired surrogates"),
        ("a\ud800b", "ab", "is recorded without NUL and unpaired surrogates"),
    ],
)
def test_a_name_is_corrected(given: object, text: str, change: str) -> None:
    """Numbers become text, and characters that a name cannot hold are dropped."""
    assert corrected_name(given) == (text, change)


def test_long_names_stay_distinct() -> None:
    """A shortened name has the maximum length, and ends in a digest of the whole."""
    one, other = corrected_name(LONG + "a"), corrected_name(LONG + "b")
    assert len(one.text) == len(other.text) == MAX_NAME
    assert one.text != other.text
    assert one.text.startswith("x" * 200)
    assert corrected_text("y" * 20_000).text == "y" * (MAX_TEXT - 1) + "…"
    assert len(corrected_name(10**6000).text) == MAX_NAME


def registered(recorder: InMemoryRecorder) -> dict[str, Any]:
    """Return the fields of the last registration."""
    return recorder.runs[-1].registration


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"version": 7}, {"agent_version": {"external_identifier": "7"}}),
        ({"version": ""}, {"agent_version": {}}),
        (
            {"version": {"external_identifier": 1.0}},
            {"agent_version": {"external_identifier": "1.0"}},
        ),
        ({"version": {"nam": "typing error"}}, {"agent_version": {}}),
        ({"version": {"description": "d" * 20_000}}, {}),
        ({"external_identifier": 5}, {"external_identifier": "5"}),
        ({"external_identifier": "\0"}, {"external_identifier": None}),
        ({"environment_id": "e\0"}, {"environment_id": "e"}),
        ({"purpose": ""}, {"purpose": None}),
        ({"agent_id": ""}, {"agent_id": "test-agent"}),
        ({"agent_id": 3}, {"agent_id": "3"}),
    ],
)
def test_an_argument_of_a_run_is_corrected(
    arguments: dict[str, Any], found: dict[str, Any]
) -> None:
    """The run is still registered, with a value that is accepted."""
    with InMemoryRecorder() as recorder:
        recorder.run(**arguments).start()
        registration = registered(recorder)
    assert {name: registration.get(name) for name in found} == found
    assert len(registration["agent_version"].get("description") or "") <= MAX_TEXT


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"purpose": "production"},
            "purpose must be one of live, smoke_test, eval, got 'production'",
        ),
        ({"purpose": 1}, "purpose must be one of .*, got 1"),
        ({"version": ["1"]}, "version must be a mapping, text or a number, got list"),
        ({"version": True}, "version must be a mapping, text or a number, got bool"),
        ({"version": {"name": []}}, r"version\['name'\] must be text or a number, got list"),
        ({"version": {"runtime_environment": "x"}}, "must be a mapping, got str"),
        ({"agent_id": object()}, "agent_id must be text or a number, got object"),
        ({"environment_id": b"e"}, "environment_id must be text or a number, got bytes"),
        ({"external_identifier": {}}, "external_identifier must be text or a number, got dict"),
        ({"span_types": 3}, "span_types must be an iterable of SpanTypes"),
        ({"span_types": ["agent:llm"]}, "span_types must hold SpanTypes, got 'agent:llm'"),
        ({"sampled": "yes"}, "sampled must be True, False or None, got 'yes'"),
    ],
)
def test_uncorrectable_arguments_raise(arguments: dict[str, Any], message: str) -> None:
    """A wrong type, or an unknown purpose, raises where the run is created."""
    with InMemoryRecorder() as recorder, pytest.raises(ConfigurationError, match=message):
        recorder.run(**arguments)
    with Recorder(enabled=False) as off, pytest.raises(ConfigurationError, match=message):
        off.run(**arguments)


@pytest.mark.parametrize(
    "name", ["", "\0", "n" * 300, 3, None, ["unhashable"], "lone \udc00", object()]
)
def test_a_span_is_recorded_under_any_name(name: Any) -> None:
    """Any span name is made to fit, and its declaration gets the same name."""
    with InMemoryRecorder() as recorder:
        if isinstance(name, str | int):
            recorder.span_type(name)  # type: ignore[arg-type]
            assert recorder.trace(name)(len)([]) == 0
        with recorder.run() as run, run.span(name):
            pass
    (span,) = recorder.spans
    assert 0 < len(span.schema_name) <= MAX_NAME
    assert "\0" not in span.schema_name
    if isinstance(name, str | int):
        declared = registered(recorder)["agent_schema_version"]["span_type_schemas"]
        assert [each["name"] for each in declared] == [span.schema_name]


def test_a_correction_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log names field, value and agent, once; every correction is counted."""
    with InMemoryRecorder() as recorder, caplog.at_level(logging.WARNING):
        before = recorder.stats().corrected
        for _ in range(3):
            recorder.run("bot-of-this-test", external_identifier=LONG)
        assert recorder.stats().corrected == before + 3
    (line,) = caplog.messages
    assert "external_identifier='xxxx" in line
    assert "of agent 'bot-of-this-test' is truncated to 256 characters" in line
    assert len(line) < 200


def test_an_end_is_recorded_under_any_status() -> None:
    """An unknown status of any type counts as complete."""
    with InMemoryRecorder() as recorder:
        run = recorder.run()
        run.start()
        run.start_span("x:y").finish(status=["failed"])  # type: ignore[arg-type]
        run.finish(status="nonsense")  # type: ignore[arg-type]
    assert [span.status for span in recorder.spans] == ["complete"]
    assert recorder.runs[0].status == "complete"


def test_only_sets_can_be_included() -> None:
    """Including anything but a set of span types is refused at once."""
    with pytest.raises(ConfigurationError, match="only SpanTypes can be included"):
        SpanTypes().include("agent:llm")  # type: ignore[arg-type]


def test_the_state_before_the_first_run_has_a_name() -> None:
    """Durability is `not started` until something is recorded, and `off` if nothing will be."""
    with Recorder("http://127.0.0.1:9", "token", durability="memory") as recorder:
        assert recorder.stats().durability == "not started"
    assert recorder.stats().durability == "off"
    assert Recorder(enabled=False).stats().durability == "off"


class Unreadable(dict[str, str]):
    """A mapping that fails when it is read."""

    def items(self) -> Any:
        raise OSError


@pytest.mark.parametrize(
    ("given", "kept", "corrected"),
    [
        ({"user": "u", 7: 1.5, "on": True, "id": UUID(int=1)}, 4, 0),
        ({LONG: LONG}, 1, 2),
        ({LONG + "a": "1", LONG + "b": "2"}, 2, 2),
        ({"": "a", "b": "", "c": "\0", "d": None}, 0, 3),
        ({"a": ["b"], ("c",): "d", "e": b"f"}, 0, 3),
        ({str(number): "a" for number in range(20)}, 16, 4),
        (["a"], 0, 1),
        (Unreadable(), 0, 1),
    ],
)
def test_invalid_metadata_does_not_lose_the_run(given: Any, kept: int, corrected: int) -> None:
    """Metadata that the API would refuse is corrected or left out, counted, and never raises."""
    recorder = InMemoryRecorder()
    before = recorder.stats()
    with recorder.run(metadata=given):
        pass
    with recorder.run() as run:
        run.set_metadata(given)

    first, second = recorder.runs
    assert first.metadata == second.metadata
    assert len(first.metadata) == kept
    assert all(0 < len(key) <= 64 for key in first.metadata)
    assert all(type(text) is str and 0 < len(text) <= 256 for text in first.metadata.values())
    after = recorder.stats()
    assert after.corrected - before.corrected == 2 * corrected
    assert after.failures == before.failures


def test_the_log_says_why_metadata_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """A warning names what is wrong, and how many keys a run may have."""
    recorder = InMemoryRecorder()
    with caplog.at_level(logging.WARNING):
        recorder.run("a-bot", metadata=["a"])  # type: ignore[arg-type]
        recorder.run("a-bot", metadata={str(number): "a" for number in range(17)})
    assert caplog.messages == [
        "metadata=<list> of agent 'a-bot' is not a mapping and is left out",
        "metadata key='16' of agent 'a-bot' is left out: a run has at most 16 keys",
    ]


def test_metadata_changes_key_by_key() -> None:
    """Before, during and after a run, given keys are set, None removes one, and others stay."""
    recorder = InMemoryRecorder()
    run = recorder.run(metadata={"user": "u", "release": "1"})
    run.set_metadata({"early": 1})
    with run:
        run.set_metadata({"release": None, "experiment": "b"})
    run.set_metadata({str(number): "a" for number in range(13)})
    run.set_metadata({"one": "more", "user": None, "instead": "c"})

    (recorded,) = recorder.runs
    numbers = {str(number): "a" for number in range(13)}
    expected = {"early": "1", "experiment": "b", "instead": "c", **numbers}
    assert recorded.metadata == expected
    assert len(expected) == 16
