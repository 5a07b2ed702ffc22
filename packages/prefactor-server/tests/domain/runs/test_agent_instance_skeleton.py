"""The order of a run's spans, whatever parents clients report."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.runs.agent_instance_skeleton import (
    PARENT_MISSING,
    SpanOutline,
    build_skeleton,
)
from prefactor_server.domain.runs.agent_span import UNREGISTERED_TYPE

IDS = [f"s{number}" for number in range(9)]


def outline(span_id: str, parent: str | None = None, at: int | None = 0, **given: Any) -> Any:
    """A span that has not ended."""
    made = SpanOutline(span_id, parent, "step", None, "active", at, None, None, 0)
    return made._replace(**given)


@st.composite
def outlines(draw: st.DrawFn) -> list[SpanOutline]:
    """Generate spans with any of each other, or nothing, as parents."""
    ids = draw(st.lists(st.sampled_from(IDS), unique=True))
    parents = st.one_of(st.none(), st.sampled_from(IDS))
    times = st.one_of(st.none(), st.integers(-3, 3))
    return [outline(one, draw(parents), draw(times)) for one in ids]


@given(outlines(), st.one_of(st.none(), st.integers(-3, 3)))
def test_every_span_follows_its_parent_once(
    spans: list[SpanOutline], run_started_at: int | None
) -> None:
    """Each span comes once, after its parent; only cycles lose one parent each."""
    columns = build_skeleton(spans, run_started_at).columns
    by_id = {span.id: span for span in spans}

    assert sorted(columns.id) == sorted(by_id)
    assert {len(column) for column in columns} == {len(spans)}
    for place, (span_id, parent) in enumerate(zip(columns.id, columns.parent, strict=True)):
        named = by_id[span_id].parent_span_id
        missing = bool(columns.flags[place] & PARENT_MISSING)
        if parent is not None:
            assert parent < place
            assert columns.id[parent] == named
            assert not missing
        else:
            assert missing == (named is not None)
            assert named not in by_id or comes_back_to(span_id, by_id)


def comes_back_to(span_id: str, by_id: dict[str, SpanOutline]) -> bool:
    """Whether a span is its own ancestor."""
    one: str | None = span_id
    for _ in by_id:
        one = by_id[one].parent_span_id if one in by_id else None
        if one == span_id:
            return True
    return False


@given(outlines(), st.randoms())
def test_the_order_does_not_depend_on_the_reading(spans: list[SpanOutline], random: Any) -> None:
    """Spans read in another order give the same skeleton, with siblings sorted by start."""
    shuffled = list(spans)
    random.shuffle(shuffled)
    columns = build_skeleton(spans, None).columns

    assert build_skeleton(shuffled, None).columns == columns
    for parent in {*columns.parent}:
        siblings = [
            (at is None, at, span_id)
            for span_id, at, one in zip(columns.id, columns.started_at, columns.parent, strict=True)
            if one == parent
        ]
        assert siblings == sorted(siblings)


def test_a_tree_is_written_depth_first() -> None:
    """A span is followed by all of its descendants before its next sibling."""
    spans = [
        outline("late", "root", 5),
        outline("early", "root", 1),
        outline("below-early", "early", 9),
        outline("root", None, 0),
        outline("waiting", "root", None),
    ]

    columns = build_skeleton(spans, None).columns

    assert columns.id == ["root", "early", "below-early", "late", "waiting"]
    assert columns.parent == [None, 0, 1, 0, 0]


def test_a_cycle_begins_with_its_first_span() -> None:
    """The earliest span of a cycle is its root, and the cycle's descendants stay below it."""
    spans = [
        outline("hanging", "b", 0),
        outline("a", "c", 3),
        outline("b", "a", 1),
        outline("c", "b", 2),
        outline("itself", "itself", 4),
    ]

    columns = build_skeleton(spans, None).columns

    assert columns.id == ["b", "hanging", "c", "a", "itself"]
    assert columns.parent == [None, 0, 0, 2, None]
    assert columns.flags == [PARENT_MISSING, 0, 0, 0, PARENT_MISSING]


def test_a_chain_may_be_longer_than_the_stack() -> None:
    """A chain of a hundred thousand spans causes no recursion error."""
    spans = [outline(f"s{n}", f"s{n - 1}" if n else None, n) for n in range(100_000)]

    columns = build_skeleton(spans, None).columns

    assert columns.parent == [None, *range(99_999)]


def test_times_count_from_the_first_start() -> None:
    """Offsets are never negative, durations may be, and missing times give neither."""
    spans = [
        outline("a", at=100, finished_at=90),
        outline("b", at=130, finished_at=140),
        outline("c", at=None, finished_at=150),
    ]

    early, late, nothing = (build_skeleton(spans, at) for at in (70, 110, None))

    assert [one.origin for one in (early, late, nothing)] == [70, 100, 100]
    assert early.columns.started_at == [30, 60, None]
    assert late.columns.started_at == nothing.columns.started_at == [0, 30, None]
    assert early.columns.duration == [-10, 10, None]
    assert build_skeleton([], None).origin is None


def test_types_are_named_once() -> None:
    """Spans refer to their types, listed in the order of first use."""
    spans = [
        outline("a", at=1, schema_name="llm", schema_title="Model"),
        outline("b", at=2, schema_name="tool", flags=UNREGISTERED_TYPE),
        outline("c", at=3, schema_name="llm", schema_title="Model"),
    ]

    skeleton = build_skeleton(spans, None)

    assert skeleton.schemas == [("llm", "Model"), ("tool", None)]
    assert skeleton.columns.schema == [0, 1, 0]
    assert skeleton.columns.flags == [0, UNREGISTERED_TYPE, 0]
