"""The totals of runs match a full count, at a bounded cost."""

import json
import random
from dataclasses import replace
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
    risk_profile,
    start,
    terminate,
)
from tally import catch_up

from prefactor_server.commands.agent_instance_register import DeclaredSchema
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_schema_version import SchemaContent
from prefactor_server.domain.risk.risk_profile import weights_document
from prefactor_server.domain.runs.cost import NO_PRICES, Price, PriceTable, TokenUse, cost_of
from prefactor_server.domain.runs.retention import Retention
from prefactor_server.domain.runs.run_total import COST_UNITS, RunTotal
from prefactor_server.domain.runs.usage import Usage
from prefactor_server.follower import CommitSignal, Follower
from prefactor_server.follower.backfill import RESET
from prefactor_server.follower.consumers import consumers
from prefactor_server.follower.run_totals import RUN_TOTALS, RunTotalsConsumer
from prefactor_server.payloads import encode_document
from prefactor_server.queries.risk import RiskQueries
from prefactor_server.storage.base import Changes, Needs
from prefactor_server.storage.feed import Derived

PRICES = PriceTable("USD", (Price("gpt*", Decimal(3), Decimal("1.5")),))
DEARER = PriceTable("USD", (Price("*", Decimal(30), Decimal(15)),))
DECLARED = {
    "span_type_schemas": [
        {
            "name": "llm",
            "data_risk": {"params_data_categories": {"personal_identifiers": "included"}},
        }
    ]
}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the longest delay to a short time."""
    monkeypatch.setattr("prefactor_server.follower.run_totals._SHARE", 0)
    monkeypatch.setattr("prefactor_server.follower.run_totals._REFRESH_SECONDS", 0.0)


def following(storage: Any, prices: PriceTable = PRICES) -> Follower:
    """The follower of a server with these prices."""
    clock = iter(range(1, 10**12, 1000))
    return Follower(
        storage.feed,
        consumers(storage, prices, lambda: NOW),
        CommitSignal(),
        holder="test",
        now_us=lambda: next(clock),
    )


async def totals(storage: Any, *run_ids: str) -> list[RunTotal]:
    """Return the stored totals of runs."""
    return sorted(await storage.run_totals.totals(ACCOUNT, run_ids))


def used(prompt: int | None, completion: int | None, model: str = "gpt-4") -> Any:
    """Return a span payload with token usage."""
    return msgspec.structs.replace(FACTS, usage=Usage(prompt, completion, None, model, None))


async def record(storage: Any, run_id: str, spans: int = 3) -> None:
    """Record an active run with spans of two types."""
    codec, body = encode_document(json.dumps(DECLARED).encode())
    schema = DeclaredSchema(None, SchemaContent(ACCOUNT, b"declared".ljust(16), codec, body), 1)
    await submit(storage, register(run_id, schema=schema), start(run_id))
    run = await storage.instance(ACCOUNT, run_id)
    await submit(
        storage,
        *(
            create_span(
                f"{run_id}-{number}",
                run,
                status="complete" if number % 2 else "active",
                schema_name="llm" if number % 3 else "tool",
                facts=used(1000 * number, 10),
            )
            for number in range(spans)
        ),
    )


async def check(storage: Any, run_id: str, prices: PriceTable = PRICES) -> None:
    """Check that a total matches a full count of the run's spans."""
    run = await storage.instance(ACCOUNT, run_id)
    figures = await RiskQueries(storage).for_run(run)
    (found,) = await totals(storage, run_id)
    cost = cost_of(figures.tokens, prices)

    assert found.cost == (None if cost.total_cost is None else round(cost.total_cost * COST_UNITS))
    assert found.unpriced_spans == cost.unpriced_spans
    assert found.last_activity_at == figures.last_activity_at
    scored = figures.scored
    assert found.risk_score == (None if scored is None else scored.risk.score)
    assert found.risk_level == (None if scored is None else scored.risk.level)


async def weigh(storage: Any, weight: float, updated_at: int) -> None:
    """Give the agent of all runs a profile, or another weight."""
    run = await storage.instance(ACCOUNT, "run-1")
    document = weights_document({"personal_identifiers": (weight, True)})

    def decide(snapshots: Any) -> None:
        snapshot = snapshots[ACCOUNT]
        (agent,) = [row for row in snapshot.rows(Agent) if row.id == run.agent_id]
        profile = risk_profile(category_weights=document, updated_at=updated_at)
        new = snapshot.get(type(profile), profile.id) is None
        changed = agent._replace(risk_profile_id=profile.id)
        snapshot.apply(
            Changes(inserted=(profile,), updated=(changed,))
            if new
            else Changes(updated=(profile, changed))
        )

    needs = Needs(agents={run.agent_id}, rows={(type(risk_profile()), "profile-1")})
    await storage.transact({ACCOUNT: needs}, decide)


async def test_a_total_matches_the_spans(storage: Any) -> None:
    """Active, ended, terminated or with late spans, a run has the right total."""
    chance = random.Random(7)
    follower = following(storage)
    names = [f"run-{number}" for number in range(4)]
    for name in names:
        await record(storage, name, spans=chance.randrange(1, 6))
        await catch_up(follower)
    for _ in range(3):
        name = chance.choice(names)
        late = finish_span(f"{name}-0", facts=used(7, 77, "other"))
        await submit(storage, chance.choice((finish(name), terminate(name), late)))
        await submit(storage, late)
        await catch_up(follower)
    for name in names:
        await check(storage, name)


async def test_a_run_above_the_limit_of_a_slice_is_counted(
    storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs larger than one slice counts are counted all the same, and the runs beside them too."""
    monkeypatch.setattr("prefactor_server.follower.run_totals._SPANS_AT_ONCE", 3)
    follower = following(storage)
    sizes = {"run-1": 5, "run-2": 2, "run-3": 2, "run-4": 6}
    for name, spans in sizes.items():
        await record(storage, name, spans)
        await do(storage, finish(name))
    await catch_up(follower)
    for name in sizes:
        await check(storage, name)


async def test_a_changed_price_changes_the_costs(
    storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a restarted server reads other prices, every cost is replaced without reading spans."""
    await record(storage, "run-1")
    await do(storage, finish("run-1"))
    await catch_up(following(storage, NO_PRICES))
    await check(storage, "run-1", NO_PRICES)

    async def forbidden(*_: Any) -> Any:
        raise AssertionError("spans were read")

    with monkeypatch.context() as patch:
        patch.setattr(type(storage), "span_usage", forbidden)
        await catch_up(following(storage, DEARER))
    await check(storage, "run-1", DEARER)


async def test_a_changed_profile_changes_the_scores(storage: Any) -> None:
    """A new profile, and a change of it, replace the scores of the agent's runs."""
    await record(storage, "run-1")
    follower = following(storage)
    await catch_up(follower)
    scores = [(await totals(storage, "run-1"))[0].risk_score]
    for weight in (1.0, 5.0):
        await weigh(storage, weight, NOW + int(weight))
        await catch_up(follower)
        await check(storage, "run-1")
        scores.append((await totals(storage, "run-1"))[0].risk_score)

    assert scores == [None, 2.0, 10.0]


async def test_a_deleted_run_has_no_total(storage: Any) -> None:
    """Pruning a run deletes its derived rows."""
    await upkeep.run_with_spans(storage, "run-1")
    follower = following(storage)
    await catch_up(follower)
    assert await totals(storage, "run-1") != []
    await upkeep.prune_all(storage, Retention(ACCOUNT, NOW + 1))
    await catch_up(follower)

    assert await totals(storage, "run-1") == []
    assert list(await storage.run_totals.due(10)) == []


@pytest.mark.parametrize("is_finished", [True, False])
async def test_a_run_that_is_registered_again_has_a_total(storage: Any, is_finished: bool) -> None:
    """A run that is deleted and registered again before the follower looks has its new total."""
    await record(storage, "run-1")
    await do(storage, finish("run-1"))
    follower = following(storage)
    await catch_up(follower)
    await upkeep.prune_all(storage, Retention(ACCOUNT, NOW + 10**9))
    await record(storage, "run-1", spans=5)
    if is_finished:
        await do(storage, finish("run-1"))
    await catch_up(follower)

    await check(storage, "run-1")


async def test_a_rebuild_makes_the_same_rows(storage: Any) -> None:
    """A rebuild, and a first start over an older database, give the same rows."""
    names = [f"run-{number}" for number in range(5)]
    for name in names:
        await record(storage, name)
    await do(storage, finish("run-3"))
    follower = following(storage)
    await catch_up(follower)
    before = await totals(storage, *names)
    state = (await storage.feed.states())[RUN_TOTALS]
    await storage.feed.advance(state, state._replace(backfill=RESET), Derived())
    await follower.turn()
    cleared = await totals(storage, *names)
    await catch_up(follower)

    assert (len(before), cleared) == (5, [])
    assert await totals(storage, *names) == before


def recounts(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The counts of active runs from now on, each as the runs that were due."""
    counted: list[Any] = []
    count = RunTotalsConsumer._recount

    async def counting(self: Any, due: Any) -> Any:
        counted.append(due)
        return await count(self, due)

    monkeypatch.setattr(RunTotalsConsumer, "_recount", counting)
    return counted


async def test_a_long_run_is_not_recounted_with_every_slice(
    storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An active run is recounted for a bounded share of the time, however much is written."""
    counted = recounts(monkeypatch)
    # No further count is due during the test.
    monkeypatch.setattr("prefactor_server.follower.run_totals._SHARE", 1e9)
    follower = following(storage)
    await record(storage, "run-1")
    await catch_up(follower)
    run = await storage.instance(ACCOUNT, "run-1")
    for number in range(10):
        await do(storage, create_span(f"more-{number}", run))
        await catch_up(follower)
    assert len(counted) == 1

    await do(storage, finish("run-1"))
    await catch_up(follower)
    await check(storage, "run-1")


async def test_an_active_run_is_counted_after_the_slices_that_are_waiting(
    storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower that is slices behind counts an active run once, at the end."""
    monkeypatch.setattr("prefactor_server.follower.slices.SLICE", 1)
    counted = recounts(monkeypatch)
    follower = following(storage)
    await record(storage, "run-1")
    await catch_up(follower)
    counted.clear()
    run = await storage.instance(ACCOUNT, "run-1")
    for number in range(5):
        await do(storage, create_span(f"more-{number}", run))
    await catch_up(follower)

    assert len(counted) == 1
    await check(storage, "run-1")


async def test_changes_of_an_active_run_gather_before_it_is_counted(
    storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Active runs are counted once for all changes of a while; ends and prices do not wait."""
    follower = following(storage)
    await record(storage, "run-1")
    await record(storage, "run-2")
    await catch_up(follower)
    counted = recounts(monkeypatch)
    # Nothing that begins to gather now ends by itself during the test.
    monkeypatch.setattr("prefactor_server.follower.run_totals._GATHER_SECONDS", 1e9)
    follower = following(storage, DEARER)
    runs = [await storage.instance(ACCOUNT, name) for name in ("run-1", "run-2")]
    for number in range(3):
        await submit(storage, *(create_span(f"{run.id}-{number}-more", run) for run in runs))
        await catch_up(follower)
    found = await totals(storage, "run-1", "run-2")
    assert (counted, {one.price_revision for one in found}) == ([], {DEARER.revision})

    await do(storage, finish("run-2"))
    await catch_up(follower)
    await check(storage, "run-2", DEARER)
    assert counted == []

    monkeypatch.setattr("prefactor_server.follower.run_totals._GATHER_SECONDS", 0.0)
    await catch_up(follower)
    await check(storage, "run-1", DEARER)
    assert [[one.id for one in due] for due in counted] == [["run-1"]]


def test_different_prices_have_different_revisions() -> None:
    """Different prices or another currency give another revision; equal ones the same."""
    tables = (NO_PRICES, PRICES, DEARER, replace(PRICES, currency="EUR"))

    assert len({table.revision for table in tables}) == len(tables)
    assert PRICES.revision == PriceTable("USD", PRICES.prices).revision
    assert cost_of([TokenUse(None, 1, 1, 1, 1, 1)], PRICES).total_cost is None
