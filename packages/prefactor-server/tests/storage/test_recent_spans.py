"""The cache of recent spans: always equal to the stored spans, and bounded."""

from operator import attrgetter

import pytest
from database import Database
from postgres_database import submit
from rows import (
    ACCOUNT,
    NOW,
    create_span,
    finish,
    finish_span,
    payload,
    register,
    result,
    span,
    start,
    terminate,
)
from upkeep import prune_all

from prefactor_server.domain.runs.agent_span import PARAMS, AgentSpan
from prefactor_server.domain.runs.retention import Retention
from prefactor_server.storage.batch import Snapshot
from prefactor_server.storage.recent_spans import RecentSpans
from prefactor_server.storage.sqlite.backend import SqliteStorage

BROKEN = """
CREATE TRIGGER broken BEFORE INSERT ON feed_change BEGIN SELECT raise(ABORT, 'broken'); END
"""
SPANS = ("early", "late", "open", "gone")
RUNS = ("run", "ended")


async def seen(storage: SqliteStorage) -> list[object]:
    """Return what followers of the feed read of the spans and runs."""
    facets, series = storage.facets, storage.series
    texts = await facets.each_text(ACCOUNT, SPANS, lambda texts: texts)
    types = await facets.types_of_spans(ACCOUNT, SPANS)
    return [
        sorted(texts, key=attrgetter("id")),
        sorted(types),
        sorted(await series.spans_by_id(ACCOUNT, SPANS)),
        sorted(await storage.rows_by_id(AgentSpan, ACCOUNT, SPANS)),
        sorted(await series.runs_by_id(ACCOUNT, RUNS), key=attrgetter("id")),
        sorted(await storage.run_totals.runs(ACCOUNT, RUNS), key=attrgetter("id")),
    ]


async def check(database: Database) -> None:
    """Compare with what another process reads, which has no cache."""
    other = SqliteStorage.open(database.path, exclusive=False)
    try:
        assert await seen(database.storage) == await seen(other)
    finally:
        await other.close()


async def test_the_cache_equals_the_stored_spans(database: Database) -> None:
    """After ends, terminations, late ends and pruning, the cache equals the stored spans."""
    run = await database.do(register("run"))
    ended = await database.do(register("ended"))
    for one in (run, ended):
        await database.do(start(one.id))
    said = payload("early", PARAMS, b'{"said":"apple"}')
    await database.do(create_span("early", run, payloads=(said,)))
    await database.do(create_span("open", run))
    await database.do(create_span("gone", ended))
    kept, _ = database.storage._recent.find(ACCOUNT, SPANS)
    assert [one.span.id for one in kept] == ["early", "open", "gone"]
    kept_runs, _ = database.storage._recent.find_runs(ACCOUNT, RUNS)
    assert [one.id for one in kept_runs] == ["run", "ended"]
    await check(database)
    await database.do(finish_span("early", payloads=(result("early"),)))
    # Created and finished by one batch; the later payload counts.
    await database.submit(
        create_span("late", run, payloads=(payload("late", PARAMS, b"{}"),)),
        finish_span("late", payloads=(result("late", b'{"a":1}'),)),
    )
    await check(database)
    await database.do(terminate("run"))
    await check(database)
    await database.do(finish_span("open", payloads=(result("open", b'{"b":2}'),)))
    await check(database)
    await database.do(finish("ended"))
    await prune_all(database.storage, Retention(ACCOUNT, NOW * 2))

    await check(database)
    assert await seen(database.storage) == [[]] * 6


async def test_a_failed_batch_does_not_change_the_cache(database: Database) -> None:
    """A rolled-back change is never visible in the cache."""
    run = await database.do(register("run"))
    await database.do(start("run"))
    await database.do(create_span("early", run))
    database.execute(BROKEN)
    with pytest.raises(Exception, match="broken"):
        await submit(database.storage, finish_span("early"))
    await check(database)
    database.execute("DROP TRIGGER broken")
    await database.do(finish_span("early", "failed"))

    await check(database)


def test_the_oldest_spans_are_evicted() -> None:
    """The cache holds a bounded number of bytes, of the newest spans."""
    recent = RecentSpans(max_bytes=50_000)
    names = [f"span-{number}" for number in range(100)]
    for name in names:
        snapshot = Snapshot()
        snapshot.insert(span(id=name))
        recent.withdraw({ACCOUNT: snapshot})
        recent.keep({ACCOUNT: snapshot})

    found, others = recent.find(ACCOUNT, names)

    assert 0 < len(found) < 50
    assert [*others, *(one.span.id for one in found)] == names
    assert recent.find("account-2", names) == ([], names)
    recent.clear()
    assert recent.find(ACCOUNT, names) == ([], names)
