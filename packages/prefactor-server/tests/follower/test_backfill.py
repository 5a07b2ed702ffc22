"""The backfill of existing rows reports each once, whatever is written meanwhile."""

import random
from collections import Counter
from typing import Any

import pytest
from postgres_database import submit
from rows import ACCOUNT, create_span, finish, finish_span, register, start, terminate
from tally import Tally, catch_up, follower_of

from prefactor_server.domain.change import RUN_CREATED, Change
from prefactor_server.follower.backfill import RESET, START, Cursor
from prefactor_server.follower.progress import Progress

ENDED = {"complete", "failed", "cancelled", "terminated"}


@pytest.mark.parametrize("cursor", [START, Cursor("a", "r"), Cursor("a", "r", "s")])
def test_a_cursor_is_stored_as_a_text(cursor: Cursor) -> None:
    """A cursor reads back as written."""
    assert Cursor.parse(str(cursor)) == cursor


@pytest.mark.parametrize(
    ("run", "spans"),
    [("q", ("s", "t", "u")), ("r", ("s", "t")), ("s", None)],
)
def test_changes_ahead_of_the_walk_are_left_to_it(run: str, spans: tuple[str, ...] | None) -> None:
    """A change is reduced to the runs and spans that the walk has passed."""
    change = Change(1, "a", run, 0, RUN_CREATED, ("s", "t", "u"), ("t", "u"))
    passed = Cursor("a", "r", "t").passed(change)

    assert (None if passed is None else passed.span_ids) == spans
    assert passed is None or passed.finished_ids == passed.span_ids[1:]


async def write_something(storage: Any, chance: random.Random, runs: dict[str, list[str]]) -> None:
    """Make one commit: a new run, spans of it, their ends, or its end."""
    # New ids sort anywhere among the existing ones.
    name = f"{chance.randrange(1000):03}"
    if not runs or chance.random() < 0.3:
        if name not in runs:
            await submit(storage, register(name), start(name))
            runs[name] = []
        return
    run_id = chance.choice(sorted(runs))
    run = await storage.instance(ACCOUNT, run_id)
    spans = runs[run_id]
    match chance.randrange(6):
        case 0:
            await submit(storage, chance.choice((finish, terminate))(run_id))
        case 1 | 2 if spans:
            some = chance.sample(spans, min(3, len(spans)))
            for span_id in some:
                await submit(storage, finish_span(span_id))
        case _:
            made = [f"{name}-{run_id}-{number}" for number in range(chance.randrange(6))]
            fresh = [span_id for span_id in made if span_id not in spans]
            spans += fresh
            await submit(
                storage,
                *(
                    create_span(one, run, status=chance.choice(("active", "complete")))
                    for one in fresh
                ),
            )


async def expected(storage: Any, runs: dict[str, list[str]]) -> Counter[tuple[str, str]]:
    """Return what must be reported, each once."""
    told: Counter[tuple[str, str]] = Counter()
    for run_id, spans in runs.items():
        told["run", run_id] = 1
        if (await storage.instance(ACCOUNT, run_id)).status in ENDED:
            told["ended", run_id] = 1
        for found in await storage.spans_by_id(ACCOUNT, spans):
            if found.span.status in ENDED:
                told["span", found.span.id] = 1
    return told


@pytest.mark.parametrize("seed", range(3))
async def test_everything_is_reported_once(
    storage: Any, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is reported once, despite commits during the walk and a rebuild halfway."""
    monkeypatch.setattr("prefactor_server.follower.progress._BACKFILL_SPANS", 3)
    monkeypatch.setattr("prefactor_server.follower.progress._BACKFILL_RUNS", 2)
    monkeypatch.setattr("prefactor_server.follower.slices.SLICE", 3)
    chance = random.Random(seed)
    runs: dict[str, list[str]] = {}
    for _ in range(25):
        await write_something(storage, chance, runs)
    tally = Tally()
    follower = follower_of(storage, tally)
    read = Progress._next

    async def interrupted(self: Progress, cursor: Cursor) -> Any:
        # Between the walk's read of the rows and its read of the feed.
        found = await read(self, cursor)
        await write_something(storage, chance, runs)
        return found

    monkeypatch.setattr(Progress, "_next", interrupted)
    for turn in range(40):
        await follower.turn()
        if chance.random() < 0.5:
            await write_something(storage, chance, runs)
        if turn == 20 and tally.state is not None:
            tally.state = tally.state._replace(backfill=RESET)
    monkeypatch.setattr(Progress, "_next", read)
    await catch_up(follower)

    assert tally.counts == await expected(storage, runs)
    assert tally.state is not None
    assert tally.state.backfill is None


async def test_the_walk_leaves_undelivered_changes_to_the_feed(
    storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed before the walk reads the rows, but not delivered yet, is reported once."""
    await submit(storage, register("b"), start("b"))
    await submit(storage, create_span("b-1", await storage.instance(ACCOUNT, "b")))
    tally = Tally()
    read = Progress._next

    async def late(self: Progress, cursor: Cursor) -> Any:
        monkeypatch.setattr(Progress, "_next", read)
        await submit(storage, finish_span("b-1"))
        await submit(storage, finish("b"))
        await submit(storage, register("a"), start("a"))
        run = await storage.instance(ACCOUNT, "a")
        await submit(storage, create_span("a-1", run, status="complete"))
        return await read(self, cursor)

    monkeypatch.setattr(Progress, "_next", late)
    await catch_up(follower_of(storage, tally))

    assert tally.counts == await expected(storage, {"a": ["a-1"], "b": ["b-1"]})
