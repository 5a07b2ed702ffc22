"""Runs are drawn as trees, whatever parents their spans have."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_cli.run_tree import Row, error_of, render, rows
from prefactor_cli.times import took
from prefactor_http import AgentInstance, AgentSpan

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Link:
    id: int
    parent_span_id: int | None
    started_at: datetime | None = None


@st.composite
def links(draw: st.DrawFn) -> list[Link]:
    """Generate spans with any parents: others, themselves, circular, missing, none."""
    ids = draw(st.lists(st.integers(0, 30), unique=True, max_size=20))
    moments = st.none() | st.integers(0, 5).map(lambda each: NOON + timedelta(seconds=each))
    parents = st.none() | st.integers(0, 35)
    return [Link(each, draw(parents), draw(moments)) for each in ids]


@given(links())
def test_every_span_is_shown_exactly_once(spans: list[Link]) -> None:
    """Orphans, circles and spans that are their own parent neither vanish, repeat nor hang."""
    assert sorted(row.span.id for row in rows(spans)) == sorted(span.id for span in spans)


@given(links())
def test_a_span_is_below_its_parent(spans: list[Link]) -> None:
    """A span is a root, or the nearest row above it that is one level up is its parent."""
    above: dict[int, int] = {}
    for row in rows(spans):
        depth = len(row.more)
        assert depth == 1 or above[depth - 1] == row.span.parent_span_id
        above[depth] = row.span.id


@given(links())
def test_a_span_is_a_root_only_with_a_reason(spans: list[Link]) -> None:
    """A root has no parent, or a missing one, or is among its own ancestors."""
    by_id = {span.id: span for span in spans}

    def own_ancestor(span: Link) -> bool:
        here = span.parent_span_id
        for _ in spans:
            if here is None or here not in by_id or here == span.id:
                break
            here = by_id[here].parent_span_id
        return here == span.id

    for row in rows(spans):
        if len(row.more) == 1:
            assert row.span.parent_span_id not in by_id or own_ancestor(row.span)


@given(links())
def test_siblings_are_in_the_order_of_their_start(spans: list[Link]) -> None:
    """Below one parent, earlier spans come first and unstarted ones last."""
    shown: dict[tuple[int, ...], list[datetime]] = {}
    path: list[int] = []
    for row in rows(spans):
        del path[len(row.more) - 1 :]
        began = row.span.started_at or NOON + timedelta(days=1)
        shown.setdefault(tuple(path), []).append(began)
        path.append(row.span.id)

    assert all(moments == sorted(moments) for moments in shown.values())


def test_a_cycle_begins_with_its_first_span() -> None:
    """Of spans that are each other's parents, the earliest is shown as the root."""
    spans = [Link(1, 2, NOON), Link(2, 3, NOON - timedelta(1)), Link(3, 1, NOON + timedelta(1))]

    assert [(row.span.id, len(row.more)) for row in rows(spans)] == [(2, 1), (1, 2), (3, 3)]


def test_a_deep_chain_is_shown() -> None:
    """A chain longer than Python's stack is shown like any other."""
    depth = sys.getrecursionlimit() + 100
    chain = [Link(number, number - 1) for number in range(depth)]

    assert max(len(row.more) for row in rows(chain)) == depth


def test_branches_are_drawn() -> None:
    """The lines of a row start at its parent, and lines of outer levels pass by."""
    assert Row(Link(1, None), (False,)).branch == "└─ "
    assert Row(Link(1, None), (True, False)).branch == "│  └─ "
    assert Row(Link(1, None), (False, True)).branch == "   ├─ "
    assert Row(Link(1, None), (True, True)).below == "│  │  "


def agent_span(**fields: Any) -> AgentSpan:
    """A span of the API."""
    base = {
        "type": "agent_span",
        "id": "s1",
        "agent_instance_id": "i1",
        "schema_name": "agent:tool",
        "status": "complete",
        "started_at": NOON,
        "finished_at": NOON + timedelta(milliseconds=1500),
    }
    return AgentSpan.model_validate({**base, **fields})


def instance(**fields: Any) -> AgentInstance:
    """A run of the API."""
    ids = ("id", "account_id", "agent_id", "agent_version_id", "environment_id")
    base = {"type": "agent_instance", "status": "active", **dict.fromkeys(ids, "i1")}
    return AgentInstance.model_validate({**base, "inserted_at": NOON, "updated_at": NOON, **fields})


def test_a_failed_span_shows_its_error() -> None:
    """An error is read from the result or the payload, in the usual form or in any other."""
    error = {"error_type": "OSError", "message": "disk\nfull"}

    assert error_of(agent_span(result_payload={"error": error})) == "OSError: disk full"
    assert error_of(agent_span(payload={"error": "no more"})) == "no more"
    assert error_of(agent_span()) is None
    lines = render(instance(), [agent_span(status="failed", result_payload={"error": error})])
    assert lines[1:] == [f"{'└─ ✗ agent:tool':<93}  1.5 s", "      ! OSError: disk full"]


def test_recorded_text_cannot_control_the_terminal() -> None:
    """Control characters in what agents recorded are not printed."""
    span = agent_span(summary="\x1b[2Jgone\r\n\x07", schema_title="a\tb")

    assert "└─ ✓ a b  �[2Jgone �" in render(instance(), [span])[1]


def test_a_line_keeps_to_its_width() -> None:
    """A long summary is cut, and the duration is always visible."""
    lines = render(instance(), [agent_span(summary="word " * 100)], width=60)

    assert [len(line) for line in lines[1:]] == [60]
    assert lines[1].endswith("…  1.5 s")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0 ms"),
        (0.0424, "42 ms"),
        (1, "1.0 s"),
        (59.94, "59.9 s"),
        (125, "2 min 5 s"),
        (7000, "1 h 56 min"),
    ],
)
def test_durations_are_readable(seconds: float, said: str) -> None:
    """Durations have readable units, and a negative one counts as zero."""
    assert took(NOON, NOON + timedelta(seconds=seconds)) == said
    assert took(NOON, None) == ""


def test_the_first_line_sums_up_the_run() -> None:
    """The first line has the status, the duration and the counts that are not zero."""
    counts = {"total": 3, "complete": 2, "failed": 1, "finished": 3}
    ended = instance(
        status="failed",
        started_at=NOON,
        finished_at=NOON + timedelta(seconds=2),
        span_counts=counts,
    )

    assert render(ended, []) == ["failed in 2.0 s, 3 spans (2 complete, 1 failed)"]
    assert render(instance(), [agent_span()])[0] == "active, 1 span"
