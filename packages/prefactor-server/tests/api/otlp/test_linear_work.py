"""What a request of OpenTelemetry costs grows with its size, and not with the square of it."""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from itertools import count
from types import FrameType
from typing import Any

import pytest
from api_client import open_api_client
from otlp_request import CHAT, JSON, TRACE, attributes, request, span, value

from prefactor_server.otlp.events import add_events
from prefactor_server.otlp.received import ReceivedEvent
from prefactor_server.otlp.trace_state import TraceState

SIZES = (100, 200, 400)
LINK = {"traceId": "1" * 32, "spanId": "2" * 16}
NEW_TRACE = count(1)


def _records(trace: str, number: int, spans: int) -> Any:
    """Log records that are events, of so many spans in turn."""
    records = [
        {
            "traceId": trace,
            "spanId": f"{one % spans + 1:016x}",
            "timeUnixNano": str(number - one),
            "eventName": "gen_ai.user.message",
            "attributes": attributes({"gen_ai.system": "vendor"}),
            "body": value({"content": f"message {one}"}),
        }
        for one in range(number)
    ]
    resource = {"attributes": attributes({"service.name": "support"})}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}


def _spans(trace: str, number: int) -> list[Any]:
    return [span(one + 1, None, CHAT, trace=trace, seconds=(0, 1)) for one in range(number)]


def _with(trace: str, **more: Any) -> Any:
    return request([span(1, None, CHAT, trace=trace) | more])


def _pairs(key: Callable[[int], str], number: int) -> Any:
    given = [{"key": key(one), "value": {"intValue": "1"}} for one in range(number)]
    return attributes(CHAT) + given


Requests = Callable[[str, int], Sequence[tuple[str, Any]]]
CASES: dict[str, Requests] = {
    "spans": lambda trace, n: [("traces", request(_spans(trace, n)))],
    "spans, each below the last": lambda trace, n: [
        ("traces", request([span(one + 2, one + 1, CHAT, trace=trace) for one in range(n)]))
    ],
    "the same span": lambda trace, n: [("traces", request(_spans(trace, 1) * n))],
    "links": lambda trace, n: [("traces", _with(trace, links=[LINK] * n))],
    "span events": lambda trace, n: [
        ("traces", _with(trace, events=[{"name": "e", "timeUnixNano": "1"}] * n))
    ],
    "messages as span events": lambda trace, n: [
        (
            "traces",
            _with(
                trace,
                events=[
                    {
                        "name": "gen_ai.user.message",
                        "timeUnixNano": "1",
                        "attributes": attributes({"content": f"message {one}"}),
                    }
                    for one in range(n)
                ],
            ),
        )
    ],
    "attributes": lambda trace, n: [("traces", _with(trace, attributes=_pairs("a{}".format, n)))],
    "attributes with equal keys": lambda trace, n: [
        ("traces", _with(trace, attributes=_pairs(lambda _: "a", n)))
    ],
    "flat messages in attributes": lambda trace, n: [
        ("traces", _with(trace, attributes=_pairs("llm.input_messages.{}.message.role".format, n)))
    ],
    "events of one span": lambda trace, n: [("logs", _records(trace, n, 1))],
    "events of one span, repeated": lambda trace, n: [
        ("logs", _records(trace, n, 1)),
        ("logs", _records(trace, n, 1)),
    ],
    "events of many spans": lambda trace, n: [("logs", _records(trace, n, n))],
    "events before their spans": lambda trace, n: [
        ("logs", _records(trace, n, n)),
        ("traces", request(_spans(trace, n))),
    ],
    "events after their spans": lambda trace, n: [
        ("traces", request(_spans(trace, n))),
        ("logs", _records(trace, n, n)),
    ],
}


@pytest.fixture
async def api_client(tmp_path: Any) -> AsyncGenerator[Any]:
    """The API on one database, because the work is counted outside of it."""
    async with open_api_client(f"sqlite:///{tmp_path / 'prefactor.db'}") as opened:
        yield opened


async def _lines(work: Callable[[], Awaitable[None]]) -> int:
    """Return how many lines of this project's packages were executed, comprehensions by member."""
    lines = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal lines
        if "prefactor_" not in frame.f_code.co_filename:
            return None
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        await work()
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("requests", CASES.values(), ids=CASES)
async def test_the_work_of_a_request_is_linear(api_client: Any, requests: Requests) -> None:
    """Twice as much in a request takes twice as many lines of code."""

    async def sent(number: int) -> int:
        bodies = requests(f"{next(NEW_TRACE):032x}", number)

        async def send() -> None:
            for signal, body in bodies:
                answer = await api_client.post(f"/otlp/v1/{signal}", body, headers=JSON)
                assert (answer.status, answer.body) == (200, {})

        return await _lines(send)

    await sent(SIZES[0])
    small, middle, large = [await sent(number) for number in SIZES]

    assert middle > small
    assert large - middle < 2.2 * (middle - small) + SIZES[0], (small, middle, large)


class _Counted(dict[str, Any]):
    """Attributes that count how often they are compared, which no line of code shows."""

    comparisons = 0
    __hash__ = None

    def __eq__(self, other: object) -> bool:
        _Counted.comparisons += 1
        return dict.__eq__(self, other)


def test_events_of_a_request_are_not_compared_with_each_other() -> None:
    """Events that differ only in their attributes, and repeated ones, need no comparison each."""
    events = [
        ReceivedEvent(TRACE, "1" * 16, "gen_ai.choice", 1, _Counted(content=f"{number % 200}"))
        for number in range(400)
    ]
    _Counted.comparisons = 0
    state = add_events(TraceState(), events)

    assert len(state.events) == 200
    assert len(add_events(state, events).events) == 200
    assert _Counted.comparisons == 0
