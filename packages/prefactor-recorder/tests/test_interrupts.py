"""An exception meant for the host passes through the recorder, which stays consistent."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from prefactor_recorder import current_span
from prefactor_recorder.testing import InMemoryRecorder

CANCELLATIONS = [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]
INTERRUPTS = [*CANCELLATIONS, SystemExit, type("TimeLimitExceeded", (BaseException,), {})]


class Interrupted:
    """A value that raises when it is read: each time, or only the first."""

    def __init__(self, error: type[BaseException], times: int) -> None:
        self.error = error
        self.times = times

    def __repr__(self) -> str:
        self.times -= 1
        if self.times >= 0:
            raise self.error
        return "looked at"


class Model(Interrupted):
    """The same, from its own serializer."""

    def model_dump(self, **_: Any) -> Any:
        return {"text": repr(self)}


class Failure(Exception):
    """An exception that raises another when it is formatted."""

    def __init__(self, value: Interrupted) -> None:
        super().__init__()
        self.value = value

    def __str__(self) -> str:
        return repr(self.value)


@pytest.fixture(params=INTERRUPTS, ids=lambda kind: kind.__name__)
def error(request: pytest.FixtureRequest) -> type[BaseException]:
    """Return the error to raise."""
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize("times", [1, 1000])
@pytest.mark.parametrize("kind", [Interrupted, Model])
def test_an_interrupt_in_a_payload_ends_the_span(
    error: type[BaseException], kind: type[Interrupted], times: int
) -> None:
    """The block is not entered; the span begins and ends, and is no longer current."""
    with InMemoryRecorder() as recorder, recorder.run() as run:
        with pytest.raises(error), run.span("x:y", {"value": kind(error, times)}):
            raise AssertionError("the block was entered")
        with pytest.raises(error):
            run.start_span("x:y", kind(error, times))
        assert current_span() is None
        with run.span("x:after", {"fine": True}):
            pass
    recorder.assert_all_ended()
    assert [span.payload.get("fine") for span in recorder.spans] == [None, None, True]
    assert recorder.spans[0].status == ("cancelled" if error in CANCELLATIONS else "failed")


@pytest.mark.parametrize("times", [1, 1000])
@pytest.mark.parametrize(
    "end",
    [
        lambda span, value: span.finish({"value": value}),
        lambda span, value: span.finish(value, status="failed"),
        lambda span, value: span.fail(Failure(value)),
    ],
    ids=["finish", "finish as failed", "fail"],
)
def test_an_interrupt_in_a_result_ends_the_span(
    error: type[BaseException], end: Callable[[Any, Any], None], times: int
) -> None:
    """The interrupt reaches the host unchanged, and the span still ends."""
    with InMemoryRecorder() as recorder, recorder.run() as run:
        span = run.start_span("x:y")
        with pytest.raises(error):
            end(span, Interrupted(error, times))
        span.finish({"second": "ends are ignored"})
    recorder.assert_all_ended()
    assert recorder.spans[0].result is None or "second" not in recorder.spans[0].result


def test_an_interrupt_in_redaction_drops_the_payload(error: type[BaseException]) -> None:
    """A payload is not recorded if its redaction did not finish."""

    def redact(_: str, payload: dict[str, Any]) -> dict[str, Any]:
        if payload.get("secret"):
            raise error
        return payload

    with InMemoryRecorder(redact=redact) as recorder, recorder.run() as run:
        with pytest.raises(error), run.span("x:y", {"secret": "s"}):
            raise AssertionError("the block was entered")
        with pytest.raises(error), run.span("x:z") as span:
            span.set_result({"secret": "s"})
    recorder.assert_all_ended()
    assert "secret" not in str([(span.payload, span.result) for span in recorder.spans])


def test_a_traced_function_passes_an_interrupt_on(error: type[BaseException]) -> None:
    """Arguments and results that raise end the span of a call."""
    with InMemoryRecorder() as recorder, recorder.run():

        @recorder.trace("agent:tool")
        def tool(value: Any) -> Any:
            return Interrupted(error, 1000) if value is None else value

        for argument in (None, Interrupted(error, 1000)):
            with pytest.raises(error):
                tool(argument)
    recorder.assert_all_ended()
    assert len(recorder.spans) == 2
