"""The rollups behind series count every run and span once, whatever happens meanwhile."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from postgres_database import submit
from rows import (
    ACCOUNT,
    ENVIRONMENT,
    FACTS,
    NOW,
    STAGING,
    create_span,
    finish,
    finish_span,
    payload,
    principal,
    register,
    request,
    start,
    terminate,
)

from prefactor_server.commands.agent_span import DiscardSensitive
from prefactor_server.commands.environment import CreateEnvironment
from prefactor_server.commands.runs.abandoned_run import EndAbandoned, MarkAbandoned
from prefactor_server.domain.errors import Unavailable
from prefactor_server.domain.runs.retention import Retention
from prefactor_server.domain.runs.usage import Usage
from prefactor_server.domain.series.bucket import DAY, HOUR, MINUTE
from prefactor_server.domain.series.rollup import (
    ALL_AGENTS,
    ALL_ENVIRONMENTS,
    CountedLateSpan,
    Rollup,
    RollupKey,
    added_by,
    is_counted,
    merged,
)
from prefactor_server.domain.series.stored_figures import decode_figures
from prefactor_server.follower import Attached, CommitSignal, Follower
from prefactor_server.follower.backfill import RESET
from prefactor_server.follower.series import NAME, SeriesConsumer
from prefactor_server.storage.feed import ConsumerState, Derived

MINUTE_US = 60_000_000


class Runs(dict[str, list[str]]):
    """The registered runs, each with its spans."""


async def write_something(storage: Any, chance: random.Random, runs: Runs) -> None:
    """Make one commit: a new run, spans of it, an end of any kind, or a discarded value."""
    name = f"{chance.randrange(1000):03}"
    if not runs or chance.random() < 0.25:
        if name not in runs:
            where = chance.choice((ENVIRONMENT, STAGING))
            new = register(name, f"agent-{chance.randrange(2)}", environment_id=where)
            await submit(storage, new, start(name))
            runs[name] = []
        return
    run_id = chance.choice(sorted(runs))
    run = await storage.instance(ACCOUNT, run_id)
    spans, at = runs[run_id], NOW + chance.randrange(200) * MINUTE_US
    status = chance.choice(("complete", "failed"))
    match chance.randrange(9):
        case 0:
            await submit(storage, finish(run_id, at=at))
        case 1:
            await submit(storage, terminate(run_id))
        case 2 | 3 if spans:
            some = chance.sample(spans, min(3, len(spans)))
            for span_id in some:
                facts = msgspec.structs.replace(
                    FACTS, usage=Usage(chance.randrange(9), 5, None, "large-1")
                )
                await submit(storage, finish_span(span_id, status, finished_at=at, facts=facts))
        case 4 if spans:
            await discard(storage, chance.choice(spans))
        case 5:
            before = request().now + 1
            await submit(storage, MarkAbandoned(request(), run_id, before))
            await submit(storage, EndAbandoned(request(), run_id, before))
        case _:
            made = [f"{name}-{run_id}-{number}" for number in range(chance.randrange(5))]
            fresh = [span_id for span_id in made if span_id not in spans]
            spans += fresh
            kinds = [chance.choice(("active", "complete", "failed")) for _ in fresh]
            pairs = zip(fresh, kinds, strict=True)
            await submit(storage, *(create_span(one, run, status=kind) for one, kind in pairs))


async def discard(storage: Any, span_id: str) -> None:
    """Change a span without affecting its end."""
    (record,) = await storage.spans_by_id(ACCOUNT, [span_id])
    payloads = (payload(span_id, 0, b"{}"),)
    await submit(
        storage, DiscardSensitive(request(), principal(), span_id, record.span, 2, 0, payloads)
    )


async def stored(storage: Any) -> Sequence[Rollup]:
    """All rollups."""
    found = await storage.feed.some(Rollup, 100_000)
    rows = await storage.series.rollups_by_key([RollupKey(*one.key) for one in found])
    return _without_single_sums(rows)


def _without_single_sums(rows: Sequence[Rollup]) -> Sequence[Rollup]:
    """Drop single environments' sums, which stay behind when a run's end moves elsewhere."""
    parts = Counter(row.key.of_all for row in rows if row.environment_id != ALL_ENVIRONMENTS)
    return sorted(row for row in rows if row.key not in parts or parts[row.key] > 1)


async def recounted(storage: Any, runs: Runs) -> Sequence[Rollup]:
    """Return the rollups counted from the whole database."""
    ended = await storage.series.runs_by_id(ACCOUNT, list(runs))
    ids = [span_id for spans in runs.values() for span_id in spans]
    spans = [one for one in await storage.series.spans_by_id(ACCOUNT, ids) if is_counted(one)]
    return sorted(merged(added_by(ended, spans, NOW), []))


def follower_of(storage: Any) -> Follower:
    """A follower with this consumer, for the test to advance."""
    consumer = SeriesConsumer(storage.series, storage.feed, lambda: NOW)
    clock = iter(range(1, 10**12, 1000))
    attached = [Attached(consumer)]
    return Follower(
        storage.feed, attached, CommitSignal(), holder="test", now_us=lambda: next(clock)
    )


async def catch_up(follower: Follower) -> None:
    """Run a follower until nothing is left to do."""
    while await follower.turn():
        pass


@pytest.mark.parametrize("seed", range(2))
async def test_everything_is_counted_once(
    storage: Any, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills before or after a commit, two servers at once, and a rebuild change no count."""
    monkeypatch.setattr("prefactor_server.follower.progress._BACKFILL_SPANS", 3)
    monkeypatch.setattr("prefactor_server.follower.progress._BACKFILL_RUNS", 2)
    monkeypatch.setattr("prefactor_server.follower.slices.SLICE", 4)
    chance, runs = random.Random(seed), Runs()
    await submit(storage, CreateEnvironment(request(), STAGING, "Staging"))
    for _ in range(20):
        await write_something(storage, chance, runs)
    advance = type(storage.feed).advance

    async def dying(
        self: Any, before: ConsumerState, after: ConsumerState, derived: Derived
    ) -> ConsumerState | None:
        moment = chance.random()
        if moment < 0.15:
            raise Unavailable("killed before the commit")
        done = await advance(self, before, after, derived)
        if moment > 0.85:
            raise Unavailable("killed after the commit")
        return done

    monkeypatch.setattr(type(storage.feed), "advance", dying)
    follower = follower_of(storage)
    for turn in range(40):
        try:
            await follower.turn()
        except Unavailable:
            follower = follower_of(storage)
        await write_something(storage, chance, runs)
        if turn == 20:
            await rebuild(storage, advance)
    monkeypatch.setattr(type(storage.feed), "advance", advance)
    await catch_up(follower_of(storage))
    first = await stored(storage)

    assert {row.environment_id for row in first} == {ENVIRONMENT, STAGING, ALL_ENVIRONMENTS}
    assert first == await recounted(storage, runs)
    await rebuild(storage, advance)
    await catch_up(follower_of(storage))
    assert await stored(storage) == first


async def rebuild(storage: Any, advance: Any) -> None:
    """Do what ``prefactor-server rebuild series`` does."""
    state = (await storage.feed.states()).get(NAME)
    if state is not None:
        assert await advance(storage.feed, state, state._replace(backfill=RESET), Derived())


async def test_a_late_end_is_counted_and_a_termination_is_not(storage: Any) -> None:
    """A span that a termination closed is counted only once its agent finishes it."""
    await submit(storage, register("run"), start("run"))
    run = await storage.instance(ACCOUNT, "run")
    await submit(storage, create_span("late", run), create_span("lost", run))
    await submit(storage, create_span("early", run, status="complete"))
    await submit(storage, terminate("run"))
    await catch_up(follower_of(storage))
    before = await totals(storage)
    await submit(storage, finish_span("late", "failed", finished_at=NOW + 2_000_000))
    await catch_up(follower_of(storage))
    await discard(storage, "late")
    await discard(storage, "early")
    await catch_up(follower_of(storage))

    assert before == {"runs": {"terminated": 1}, "spans": 1, "failed": 0}
    assert await totals(storage) == {"runs": {"terminated": 1}, "spans": 2, "failed": 1}
    assert len(await storage.feed.some(CountedLateSpan, 10)) == 1


async def totals(storage: Any) -> Any:
    """Return the account's totals over all days."""
    runs: dict[str, int] = {}
    spans = failed = 0
    for row in await stored(storage):
        if (row.bucket_seconds, row.agent_id) == (DAY.seconds, ALL_AGENTS):
            figures = decode_figures(row.figures)
            for status, number in figures.runs.items():
                runs[status] = runs.get(status, 0) + number
            spans += sum(one.spans for one in figures.span_types.values())
            failed += sum(one.failed for one in figures.span_types.values())
    return {"runs": runs, "spans": spans, "failed": failed}


async def test_deleted_runs_are_still_counted(storage: Any) -> None:
    """Pruning deletes runs and spans but keeps their counts."""
    await submit(storage, register("run"), start("run"))
    run = await storage.instance(ACCOUNT, "run")
    await submit(storage, create_span("open", run), create_span("done", run, status="complete"))
    await submit(storage, terminate("run"))
    await submit(storage, finish_span("open"))
    await catch_up(follower_of(storage))
    before = await stored(storage)
    await storage.maintenance.prune(Retention(ACCOUNT, NOW + 10**9, None, None), NOW, "cli")
    await catch_up(follower_of(storage))

    assert await storage.instance(ACCOUNT, "run") is None
    assert await stored(storage) == before
    assert (await totals(storage))["spans"] == 2
    assert await storage.feed.some(CountedLateSpan, 10) == []


async def test_short_buckets_are_deleted_by_their_age(storage: Any) -> None:
    """Minutes are deleted after seven days and hours after ninety; days are kept."""
    ages = (0, 8, 91)
    rows = [
        Rollup(ACCOUNT, ALL_AGENTS, bucket.seconds, NOW - age * DAY.length, ENVIRONMENT, b"{}")
        for bucket in (MINUTE, HOUR, DAY)
        for age in ages
    ]
    before = ConsumerState("elsewhere", 0, None)
    begun = await storage.feed.begin(before)
    await storage.feed.advance(begun, begun, Derived(upserted=rows))
    await submit(storage, register("run"), start("run"))
    await catch_up(follower_of(storage))

    kept = {(row.bucket_seconds, (NOW - row.start) // DAY.length) for row in await stored(storage)}
    assert kept == {(60, 0), (3600, 0), (3600, 8), (86400, 0), (86400, 8), (86400, 91)}
