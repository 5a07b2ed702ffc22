"""What is kept of a trace between its batches, and that it is limited."""

from typing import Any

from prefactor_server.otlp.events import (
    MAX_EVENT_BYTES,
    MAX_EVENTS,
    add_events,
    events_by_span,
)
from prefactor_server.otlp.received import ReceivedEvent, ReceivedSpan
from prefactor_server.otlp.trace_state import (
    MAX_AWAITED,
    MAX_BETWEEN,
    MAX_WAITING,
    MAX_WAITING_BYTES,
    TraceState,
    read_state,
    sort_spans,
    write_state,
)

MODEL = {"gen_ai.operation.name": "chat"}


def _span(span_id: str, parent: str | None = None, attributes: Any = None) -> ReceivedSpan:
    return ReceivedSpan(
        "t", span_id, parent, parent is None, "n", 1, 2, False, None, attributes or {}, [], None
    )


def _event(number: int, *, at: int = 0, text: str = "") -> ReceivedEvent:
    return ReceivedEvent("t", "s", "gen_ai.choice", at, {"n": number, "text": text})


def _numbers(state: TraceState) -> list[int]:
    return [attributes["n"] for _, attributes in events_by_span(state).get("s", [])]


def test_the_newest_events_are_kept() -> None:
    """At most 500 events and half a megabyte of them are kept, in the order of arrival."""
    state = TraceState()
    for number in range(MAX_EVENTS + 3):
        state = add_events(state, [_event(number), _event(number)])
    large = [_event(number, text="x" * (MAX_EVENT_BYTES // 4)) for number in range(9)]
    largest = add_events(TraceState(), [_event(0, text="x" * MAX_EVENT_BYTES), *large[8:]])

    assert _numbers(state) == list(range(3, MAX_EVENTS + 3))
    assert _numbers(add_events(state, large)) == [6, 7, 8]
    assert _numbers(largest) == [8]


def test_events_are_in_the_order_of_their_times() -> None:
    """Late events take their place, and each span has its own."""
    late = [_event(2, at=9), _event(1, at=5), _event(0)._replace(span_id="other", at=1)]
    state = read_state(write_state(add_events(TraceState(["p"]), late)))

    assert _numbers(state) == [1, 2]
    assert list(events_by_span(state)) == ["other", "s"]
    assert state.awaited == ["p"]
    assert (write_state(TraceState()), read_state(b"")) == (b"", TraceState())


def test_the_newest_spans_with_nothing_below_wait() -> None:
    """At most 64 of them wait until a kept span below arrives, and none that is large."""
    others = [_span(f"{number:04}", "root") for number in range(MAX_WAITING + 3)]
    large = _span("large", "root", {"text": "x" * MAX_WAITING_BYTES})
    found = sort_spans(TraceState(), [*others, large], lambda _: False)
    assert (found.kept, found.left_out) == ([], len(others) + 1)
    assert found.state.waiting == others[3:]

    below = [_span(f"m{one.span_id}", one.span_id, MODEL) for one in (others[0], others[-1], large)]
    kept = sort_spans(found.state, below, {"root"}.__contains__).kept
    assert kept == [*below, others[-1]]


def test_the_newest_spans_with_something_below_wait() -> None:
    """At most 512 of them wait until a kept span above arrives."""
    others = [_span(f"{number:04}", "root") for number in range(MAX_BETWEEN + 3)]
    below = [_span(f"m{one.span_id}", one.span_id, MODEL) for one in others]
    found = sort_spans(TraceState(), [*others, *below], lambda _: False)
    assert (found.kept, found.left_out) == (below, len(others))

    root = _span("root", None, MODEL)
    assert sort_spans(found.state, [root], lambda _: False).kept == [root, *others[3:]]


def test_the_newest_missing_parents_are_remembered() -> None:
    """A kept span waits for its parent, unless too many others wait for theirs."""
    children = [_span(f"c{number}", f"{number:04}", MODEL) for number in range(MAX_AWAITED + 2)]
    state = sort_spans(TraceState(), children, lambda _: False).state
    parents = [_span(f"{number:04}", "root") for number in range(4)]

    assert (state.awaited[0], len(state.awaited)) == ("0002", MAX_AWAITED)
    kept = sort_spans(state, parents, {"root"}.__contains__).kept
    assert [one.span_id for one in kept] == ["0002", "0003"]


def test_spans_in_a_circle_are_left_out() -> None:
    """Spans that are parents of each other have no kept ancestor, and the search for one ends."""
    circle = [_span("a", "b"), _span("b", "a"), _span("m", "a", MODEL)]
    found = sort_spans(TraceState(), circle, lambda _: False)

    assert ([one.span_id for one in found.kept], found.left_out) == (["m"], 2)
    everything = sort_spans(TraceState(), circle, lambda _: False, keep_all=True)
    assert list(everything.kept) == circle
