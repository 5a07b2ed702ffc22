"""No argument of any public function lets the host's own code raise through the recorder."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hostile_values import ERRORS, hostile_values
from prefactor_recorder import (
    ConfigurationError,
    Recorder,
    RecorderSettings,
    Run,
    Span,
    SpanType,
    SpanTypes,
    current_span,
)
from prefactor_recorder.guard import failures
from prefactor_recorder.testing import InMemoryRecorder

Use = Callable[[InMemoryRecorder, Run, Any], object]


def entered(span: Any) -> None:
    """Enter the block of a run or a span, and leave it."""
    with span:
        pass


def raised(span: Any, error: Any) -> None:
    """Leave a block by an exception, if it is one."""
    try:
        with span:
            if issubclass(type(error), BaseException):
                raise error
    except type(error):
        pass


def with_metadata(recorder: InMemoryRecorder, metadata: Any) -> None:
    """Set metadata of a run of its own."""
    with recorder.run() as run:
        run.set_metadata(metadata)


def traced(recorder: InMemoryRecorder, value: Any, **options: Any) -> None:
    """Pass a value through traced functions of each kind."""

    @recorder.trace(**options)
    def function(given: Any) -> Any:
        return given

    @recorder.trace(**options)
    async def coroutine(given: Any = value) -> Any:
        return given

    @recorder.trace(**options)
    def generator(*given: Any) -> Iterator[Any]:
        yield from given
        return value

    async def awaited() -> bool:
        return await coroutine() is value

    assert function(value) is value
    assert asyncio.run(awaited())
    assert next(generator(value)) is value
    (*_,) = generator(value)


def decorated(declaring: Any, value: Any, part: str) -> None:
    """Trace a function with an option."""

    @declaring.trace("x:traced", **{part: value})
    def function() -> int:
        return 1

    assert function() == 1


def ended(run: Run, **how: Any) -> None:
    """End a span."""
    run.start_span("x:ended").finish(**how)


RUN_ARGUMENTS = (
    *("agent_id", "version", "environment_id", "purpose", "external_identifier", "metadata"),
    *("span_types", "sampled"),
)
PARTS = ("params", "result", "title", "description", "template", "data_risk")
USES: dict[str, Use] = {
    **{
        f"Recorder.run({name})": lambda recorder, _, value, name=name: entered(
            recorder.run(**{name: value})
        )
        for name in RUN_ARGUMENTS
    },
    "Recorder.run(version.name)": lambda recorder, _, value: recorder.run(version={"name": value}),
    "Recorder.run(version.runtime_environment)": lambda recorder, _, value: recorder.run(
        version={"runtime_environment": value}
    ),
    "Recorder.run(metadata.key)": lambda recorder, _, value: recorder.run(metadata={"k": value}),
    "Recorder.attach(run_id)": lambda recorder, _, value: entered(recorder.attach(value)),
    "Recorder.flush(timeout)": lambda recorder, _, value: recorder.flush(value),
    "Recorder.aflush(timeout)": lambda recorder, _, value: asyncio.run(recorder.aflush(value)),
    "Recorder.include(types)": lambda recorder, _, value: recorder.include(value),
    "Recorder.add_span_type(span_type)": lambda recorder, _, value: recorder.add_span_type(value),
    "Recorder.add_span_type(name)": lambda recorder, _, value: recorder.add_span_type(
        SpanType(name=value)
    ),
    "Recorder.span_type(name)": lambda recorder, _, value: recorder.span_type(value),
    **{
        f"Recorder.span_type({part})": lambda recorder, _, value, part=part: [
            recorder.span_type("x:declared", **{part: value}) for _ in range(2)
        ]
        for part in PARTS
    },
    "Recorder.trace(name)": lambda recorder, _, value: recorder.trace(value),
    "Recorder.trace(name=…)(function)": lambda recorder, _, value: recorder.trace("x:y")(value),
    **{
        f"Recorder.trace({part})": lambda recorder, _, value, part=part: decorated(
            recorder, value, part
        )
        for part in (*PARTS, "capture_arguments", "capture_result")
    },
    "calls of traced functions": lambda recorder, _, value: traced(recorder, value),
    "calls of traced tools": lambda recorder, _, value: traced(recorder, value, title="t"),
    "SpanTypes(included)": lambda _, __, value: SpanTypes(value),
    "SpanTypes.__contains__": lambda recorder, _, value: value in recorder.span_types,
    "Run.span(schema_name)": lambda _, run, value: entered(run.span(value)),
    "Run.span(payload)": lambda _, run, value: entered(run.span("x:y", value)),
    "Run.span(payload member)": lambda _, run, value: entered(run.span("x:y", {"a": value})),
    "Run.span(parent)": lambda _, run, value: entered(run.span("x:y", parent=value)),
    "Run.start_span(schema_name)": lambda _, run, value: run.start_span(value).finish(),
    "Run.start_span(payload)": lambda _, run, value: run.start_span("x:y", value).finish(),
    "Run.start_span(parent)": lambda _, run, value: run.start_span("x:y", parent=value).finish(),
    "Run.start_span(started_at)": lambda _, run, value: run.start_span(
        "x:y", started_at=value
    ).finish(),
    "Run.finish(status)": lambda recorder, _, value: started(recorder).finish(value),
    "Run.finish(finished_at)": lambda recorder, _, value: started(recorder).finish(
        finished_at=value
    ),
    "Run.set_metadata(metadata)": lambda recorder, _, value: with_metadata(recorder, value),
    "Run.set_metadata(value)": lambda recorder, _, value: with_metadata(recorder, {"k": value}),
    "Run.__exit__(error)": lambda recorder, _, value: raised(recorder.run(), value),
    "Span.set_result(result)": lambda _, run, value: run.start_span("x:y").set_result(value),
    "Span.finish(result)": lambda _, run, value: ended(run, result=value),
    "Span.finish(result, as failed)": lambda _, run, value: ended(
        run, result=value, status="failed"
    ),
    "Span.finish(status)": lambda _, run, value: ended(run, status=value),
    "Span.finish(finished_at)": lambda _, run, value: ended(run, finished_at=value),
    "Span.fail(error)": lambda _, run, value: run.start_span("x:y").fail(value),
    "Span.fail(error with the value)": lambda _, run, value: run.start_span("x:y").fail(
        KeyError(value)
    ),
    "Span.end_with(error)": lambda _, run, value: run.start_span("x:y").end_with(value),
    "Span.__exit__(error)": lambda _, run, value: raised(run.span("x:y"), value),
    "repr(Span)": lambda _, run, value: repr(run.span(value)),
}


def started(recorder: InMemoryRecorder) -> Run:
    """Return a run that has started."""
    run = recorder.run()
    run.start()
    return run


SETTINGS = [each.name for each in dataclasses.fields(RecorderSettings)]


@pytest.mark.parametrize("name", [*SETTINGS, "span_types"])
def test_a_recorder_refuses_what_it_cannot_read(name: str, error: type[BaseException]) -> None:
    """A setting whose code raises is a wrong setting."""
    for kind, value in hostile_values(error).items():
        given = {"api_url": "http://127.0.0.1:9", "api_token": "t", "enabled": False, name: value}
        try:
            recorder = Recorder(**given)
            entered(recorder.run())
            recorder.close()
        except ConfigurationError:
            continue
        except BaseException as raised:
            raise AssertionError(f"{kind} raised {type(raised).__name__}") from raised


@pytest.fixture(params=ERRORS.values(), ids=ERRORS)
def error(request: pytest.FixtureRequest) -> type[BaseException]:
    """Return what the values raise."""
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_no_value_raises_through_the_recorder(
    use: Use,
    error: type[BaseException],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At most `ConfigurationError` is raised or one warning logged, and all else is recorded."""
    for kind, value in hostile_values(error).items():
        monkeypatch.setattr(failures, "_seen", set())
        caplog.clear()
        with InMemoryRecorder() as recorder, recorder.run() as run:
            recorder.span_type("x:before")
            with run.span("x:before"):
                try:
                    use(recorder, run, value)
                except ConfigurationError as refused:
                    outcome = [str(refused)]
                except BaseException as raised:
                    raise AssertionError(f"{kind} raised {type(raised).__name__}") from raised
                else:
                    outcome = []
                assert type(current_span()) is Span, kind
            with recorder.run("after", span_types=[SpanTypes()]) as after, after.span("x:after"):
                pass
        outcome += caplog.messages
        assert len(outcome) <= 1, (kind, outcome)
        assert all(len(message) < 300 for message in outcome), (kind, outcome)
        assert recorder.span_named("x:before").status == "complete", kind
        assert recorder.span_named("x:after").status == "complete", kind
        (*_, last) = recorder.runs
        declared = last.registration["agent_schema_version"]["span_type_schemas"]
        assert "x:before" in [each["name"] for each in declared], kind
