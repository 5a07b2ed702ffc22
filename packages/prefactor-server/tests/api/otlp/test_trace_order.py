"""Every order and every grouping of the same spans gives the same run."""

import itertools
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from otlp_request import AGENT, CHAT, HTTP, REMOTE, TOOL, export, failed, outcome, span

from prefactor_server.otlp.received import ReceivedSpan
from prefactor_server.otlp.trace_state import TraceState, read_state, sort_spans, write_state

KINDS = (AGENT, CHAT, HTTP, HTTP)


@st.composite
def traces(draw: st.DrawFn) -> tuple[list[ReceivedSpan], list[list[ReceivedSpan]]]:
    """Spans of a random tree, and the same in batches of a random order."""
    size = draw(st.integers(1, 12))
    spans = [
        ReceivedSpan(
            trace_id="t",
            span_id=str(number),
            parent_id=str(draw(st.integers(0, number - 1))) if number else None,
            is_root=not number,
            name="a span",
            start=number,
            end=100,
            is_error=False,
            status_message=None,
            attributes=dict(draw(st.sampled_from(KINDS))),
            events=[],
            scope=None,
        )
        for number in range(size)
    ]
    ordered = draw(st.permutations([*spans, *draw(st.lists(st.sampled_from(spans), max_size=4))]))
    cuts = sorted(draw(st.sets(st.integers(0, len(ordered)), max_size=6)) | {0, len(ordered)})
    return spans, [list(ordered[begin:end]) for begin, end in itertools.pairwise(cuts)]


@given(traces())
def test_the_same_spans_are_kept_in_every_order(
    drawn: tuple[list[ReceivedSpan], list[list[ReceivedSpan]]],
) -> None:
    """Batches in any order keep what one batch of all spans keeps: the spans between agents."""
    spans, batches = drawn
    together = {one.span_id for one in sort_spans(TraceState(), spans, lambda _: False).kept}
    kept: set[str] = set()
    state = TraceState()
    for batch in batches:
        found = sort_spans(state, batch, kept.__contains__)
        kept |= {one.span_id for one in found.kept}
        state = read_state(write_state(found.state))

    assert kept == together
    assert kept == _by_definition(spans)


def _by_definition(spans: list[ReceivedSpan]) -> set[str]:
    by_id = {one.span_id: one for one in spans}
    agents = {one.span_id for one in spans if "gen_ai.operation.name" in one.attributes}

    def above(span_id: str) -> list[str]:
        parent = by_id[span_id].parent_id
        return [] if parent is None else [parent, *above(parent)]

    below = {one for agent in agents for one in above(agent)}
    return agents | {one for one in below if set(above(one)) & agents}


async def test_every_order_ends_in_the_same_run(api_client: Any) -> None:
    """Run and spans are the same in every order, with two roots, failures, noise and metadata."""
    shuffled = random.Random(7)
    spans = [
        span(1, None, HTTP),
        span(2, 1, {**AGENT, "user.id": "u-2"}),
        span(3, 2, HTTP),
        span(4, 3, {**CHAT, "user.id": "u-1"}),
        span(5, 4, HTTP),
        span(6, 2, TOOL, **failed("x")),
        span(7, 99, AGENT, flags=REMOTE, seconds=(0, 300), **failed("late")),
        span(8, 7, CHAT),
    ]
    found = []
    for number in range(8):
        trace = f"{number + 1:032x}"
        own = [{**one, "traceId": trace} for one in spans]
        if number:
            shuffled.shuffle(own)
        while own:
            size = len(own) if not number else shuffled.randint(1, 3)
            await export(api_client, own[:size])
            own = own[size - 1 :] if size > 1 and number else own[size:]
        found.append(await outcome(api_client, trace))

    assert found[0][0]["status"] == "failed"
    assert found[0][0]["metadata"] == {"user_id": "u-1"}
    assert sorted(found[0][1]) == [2, 3, 4, 6, 7, 8]
    assert [one for one in found if one != found[0]] == []
