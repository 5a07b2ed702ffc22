"""The figures of a run match its spans at every moment, whether or not they have been counted."""

import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import upkeep
from postgres_database import do, submit
from rows import (
    ACCOUNT,
    FACTS,
    NOW,
    create_span,
    finish,
    finish_span,
    register,
    start,
    terminate,
)
from tally import catch_up

from prefactor_server.commands.agent_span import SpanFacts
from prefactor_server.domain.runs.cost import Price, PriceTable, TokenUse, cost_of
from prefactor_server.domain.runs.retention import Retention
from prefactor_server.domain.runs.run_total import RUN_TOTALS, span_counts
from prefactor_server.domain.runs.usage import Usage
from prefactor_server.follower import CommitSignal, Follower
from prefactor_server.follower.backfill import RESET
from prefactor_server.follower.consumers import consumers
from prefactor_server.follower.run_totals import RunTotalsConsumer
from prefactor_server.queries.risk import RiskQueries
from prefactor_server.storage.feed import Derived

STEPS = 40
TABLES = tuple(PriceTable("USD", (Price("gpt*", Decimal(one), Decimal(one)),)) for one in (3, 30))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the totals of small runs as well, and make a rebuild take several turns."""
    monkeypatch.setattr("prefactor_server.queries.risk._FEW_SPANS", 0)
    monkeypatch.setattr("prefactor_server.follower.run_totals._RESET_ROWS", 1)
    monkeypatch.setattr("prefactor_server.follower.run_totals._SHARE", 0)
    monkeypatch.setattr("prefactor_server.follower.run_totals._REFRESH_SECONDS", 0.0)


def following(storage: Any, prices: PriceTable = TABLES[0]) -> Follower:
    """The follower of a server with these prices."""
    clock = iter(range(1, 10**12, 1000))
    return Follower(
        storage.feed,
        consumers(storage, prices, lambda: NOW),
        CommitSignal(),
        holder="test",
        now_us=lambda: next(clock),
    )


class History:
    """A database that is written and followed in random order.

    While the follower counts spans, others may be written.
    """

    def __init__(self, storage: Any, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.chance = random.Random(seed)
        self.storage = storage
        self.exact = 0
        self.inexact = 0
        self._spans: list[str] = []
        self._runs: dict[str, Any] = {}
        self._follower = following(storage, TABLES[0])
        self._is_interrupted = False
        self._has_time = True
        count = storage.span_usage

        async def interrupted(*arguments: Any) -> Any:
            found = await count(*arguments)
            if self._is_interrupted and self.chance.random() < 0.5:
                self._is_interrupted = False
                await self.write()
            return found

        monkeypatch.setattr(storage, "span_usage", interrupted)
        deferred_work = RunTotalsConsumer._deferred_work

        async def is_time(consumer: Any) -> Any:
            return await deferred_work(consumer) if self._has_time else ()

        monkeypatch.setattr(RunTotalsConsumer, "_deferred_work", is_time)

    async def step(self) -> None:
        """Write something, or let the follower take a step, perhaps without deferred work."""
        self._has_time = self.chance.random() < 0.5
        odds: list[tuple[int, Callable[[], Awaitable[Any]]]] = [
            (8, self.write),
            (4, self._turn),
            (4, self._catch_up),
            (1, self._rebuild),
            (2, self._restart),
            (1, self._prune),
            (1, self._forget),
        ]
        ((_, chosen),) = self.chance.choices(odds, [weight for weight, _ in odds])
        await chosen()

    async def write(self) -> None:
        """Write one request."""
        if len(self._runs) < 3:
            await self._register()
        run_id = self.chance.choice(list(self._runs))
        late = finish_span(self.chance.choice(self._spans), facts=self._facts())
        new = self.chance.choice((finish(run_id), terminate(run_id), late, late))
        await submit(self.storage, self._span(run_id), self._span(run_id), new)

    async def check(self) -> None:
        """Compare the figures of every run with its spans."""
        queries = RiskQueries(self.storage)
        for run_id in self._runs:
            run = await self.storage.instance(ACCOUNT, run_id)
            if run is None:
                continue
            total = await self.storage.run_totals.exact(ACCOUNT, run_id, 1000)
            self.exact += total is not None
            self.inexact += total is None
            found = await queries.for_run(run)
            counted = (await queries.counted(ACCOUNT, [run_id]))[run_id]
            tokens = [TokenUse(*use[1:]) for use in counted.uses]
            assert sorted(found.tokens, key=repr) == sorted(tokens, key=repr)
            assert cost_of(found.tokens, TABLES[0]) == cost_of(tokens, TABLES[0])
            assert found.span_counts == span_counts(counted.uses)
            assert found.last_activity_at == counted.last_activity_at

    async def _turn(self) -> None:
        self._is_interrupted = True
        await self._follower.turn()
        self._is_interrupted = False

    async def _catch_up(self) -> None:
        while await self._follower.turn():
            await self.check()

    async def _rebuild(self) -> None:
        state = (await self.storage.feed.states()).get(RUN_TOTALS)
        if state is not None and state.backfill is None:
            await self.storage.feed.advance(state, state._replace(backfill=RESET), Derived())

    async def _restart(self) -> None:
        await self._follower.close()
        self._follower = following(self.storage, self.chance.choice(TABLES))

    async def _forget(self) -> None:
        for _ in range(4):
            await self.write()
        await self.storage.feed.prune(await self.storage.feed.position(), NOW * 2)

    async def _prune(self) -> None:
        await upkeep.prune_all(self.storage, Retention(ACCOUNT, NOW + 1_000))
        for run_id in list(self._runs):
            if await self.storage.instance(ACCOUNT, run_id) is None:
                del self._runs[run_id]

    async def _register(self) -> None:
        run_id = f"run-{self.chance.randrange(10**9)}"
        await submit(self.storage, register(run_id), start(run_id))
        self._runs[run_id] = await self.storage.instance(ACCOUNT, run_id)
        await do(self.storage, self._span(run_id))

    def _span(self, run_id: str) -> Any:
        span_id = f"span-{self.chance.randrange(10**9)}"
        self._spans.append(span_id)
        return create_span(
            span_id,
            self._runs[run_id],
            status=self.chance.choice(("pending", "active", "complete", "failed")),
            schema_name=self.chance.choice(("llm", "tool")),
            facts=self._facts(),
        )

    def _facts(self) -> SpanFacts:
        model = self.chance.choice(("gpt-4", "other", None))
        prompt, completion, total = (
            self.chance.choice((None, self.chance.randrange(10**6))) for _ in range(3)
        )
        return msgspec.structs.replace(FACTS, usage=Usage(prompt, completion, total, model, None))


@pytest.mark.parametrize("seed", range(2))
async def test_figures_are_those_of_the_spans(
    storage: Any, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes, a follower that stops anywhere, rebuilds, prices and retention change no figure."""
    history = History(storage, seed, monkeypatch)
    for _ in range(STEPS):
        await history.step()
        await history.check()

    assert min(history.exact, history.inexact) > STEPS // 4


async def test_a_total_without_its_changes_is_not_exact(storage: Any) -> None:
    """A total is not exact if changes were deleted before the follower saw them."""
    await submit(storage, register("run-1"), register("run-2"))
    run = await storage.instance(ACCOUNT, "run-1")
    await do(storage, create_span("span-1", run))
    await catch_up(following(storage))
    before = await storage.run_totals.exact(ACCOUNT, "run-1", 10)
    await do(storage, create_span("span-2", run))
    await do(storage, start("run-2"))
    await storage.feed.prune(await storage.feed.position(), NOW * 2)

    assert before is not None
    assert [change.agent_instance_id for change in await storage.feed.changes(0, 10)] == ["run-2"]
    assert await storage.run_totals.exact(ACCOUNT, "run-1", 10) is None


async def test_few_changes_are_examined(storage: Any) -> None:
    """A total is exact only if no more changes are unseen than the caller examines."""
    await submit(storage, register("run-1"), register("run-2"))
    await catch_up(following(storage))
    other = await storage.instance(ACCOUNT, "run-2")
    for number in range(3):
        await do(storage, create_span(f"span-{number}", other))

    assert await storage.run_totals.exact(ACCOUNT, "run-1", 2) is None
    assert await storage.run_totals.exact(ACCOUNT, "run-1", 3) is not None
    assert await storage.run_totals.exact(ACCOUNT, "run-2", 3) is None
