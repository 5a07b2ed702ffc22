"""The maintenance steps for every backend, with their assertions."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from postgres_database import do
from rows import (
    ACCOUNT,
    ENVIRONMENT,
    NOW,
    OTHER_ACCOUNT,
    STAGING,
    create_span,
    finish,
    payload,
    register,
    request,
    start,
)

from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.runs.agent_span import PARAMS, RESULT
from prefactor_server.domain.runs.legal_hold import LegalHold
from prefactor_server.domain.runs.retention import Pruned, Retention
from prefactor_server.storage.base import Storage

Execute: TypeAlias = Callable[[str], Awaitable[Any]]

DAY = 86_400_000_000
LARGE = b'{"text":"' + b"lorem ipsum " * 50 + b'"}'
ACTOR = "cli"


async def run_with_spans(
    storage: Any,
    run_id: str,
    *,
    ended: int | None = NOW,
    spans: int = 3,
    agent: str = "my-agent",
    environment: str = ENVIRONMENT,
    account: str = ACCOUNT,
) -> None:
    """A run that ended at a time, or has not ended, with spans that have payloads."""
    asked = {"request": request(account)}
    await do(storage, register(run_id, agent, environment_id=environment, **asked))
    if account != ACCOUNT:
        return
    await do(storage, start(run_id))
    run = await storage.instance(account, run_id)
    for number in range(spans):
        span_id = f"{run_id}-span-{number}"
        payloads = (payload(span_id, PARAMS, LARGE), payload(span_id, RESULT, b'{"ok":true}'))
        fields = {"payload_size": len(LARGE), "result_size": 11, "payloads": payloads}
        await do(storage, create_span(span_id, run, status="complete", **fields))
    if ended is not None:
        await do(storage, finish(run_id, at=ended))


async def findings(storage: Any) -> list[str]:
    """Everything that verifying finds, a line each."""
    return sorted([str(finding) async for finding in storage.maintenance.verify()])


def hold(run_id: str, reason: str = "a lawsuit", at: int = NOW) -> tuple[LegalHold, AuditEntry]:
    """A hold and its entry in the audit log."""
    entry = AuditEntry(ACCOUNT, at, ACTOR, "legal_holds.add", run_id, reason)
    return LegalHold(ACCOUNT, run_id, reason, at), entry


def release(run_id: str) -> AuditEntry:
    """Return the entry that releases a hold."""
    return AuditEntry(ACCOUNT, NOW, ACTOR, "legal_holds.remove", run_id, None)


async def prune_all(storage: Any, retention: Retention) -> list[Pruned]:
    """Return every slice that was deleted."""
    slices: list[Pruned] = []
    while (pruned := await storage.maintenance.prune(retention, NOW, ACTOR)) != Pruned():
        slices.append(pruned)
    return slices


async def runs(storage: Storage, *named: str) -> set[str]:
    """Return which of these runs exist."""
    return {name for name in named if await storage.instance(ACCOUNT, name) is not None}


async def check_sound(storage: Any) -> None:
    """Check that a database which only servers wrote has no findings."""
    for number in range(120):
        await do(storage, register(f"empty-{number:03}"))
    await run_with_spans(storage, "run-1")
    await run_with_spans(storage, "run-2", ended=None)
    await run_with_spans(storage, "run-1", account=OTHER_ACCOUNT)

    assert await findings(storage) == []


DAMAGES = [
    (
        "UPDATE agent_instance SET complete_spans = 5, failed_spans = 1 WHERE id = 'run-1'",
        [
            "run run-1: counts 1 failed spans but has 0",
            "run run-1: counts 5 complete spans but has 3",
        ],
    ),
    (
        "UPDATE agent_instance SET agent_id = 'nobody'",
        ["run run-1: its agent is missing"],
    ),
    (
        "UPDATE agent_instance SET agent_schema_version_id = 'nothing'",
        ["run run-1: its schema version is missing"],
    ),
    (
        "DELETE FROM agent_instance WHERE id = 'run-1'",
        [f"span run-1-span-{number}: its run is missing" for number in range(3)],
    ),
]


async def check_damage(storage: Any, execute: Execute, damage: str, found: list[str]) -> None:
    """Check that every manual change to the database is reported, and nothing else."""
    await run_with_spans(storage, "run-1")
    await execute(damage)

    assert await findings(storage) == [f"account {ACCOUNT}: {line}" for line in found]


async def check_pruned_by_age(storage: Any) -> None:
    """Check that exactly the runs that ended before the moment are deleted, with their rows."""
    await run_with_spans(storage, "old", ended=NOW - 10 * DAY)
    await run_with_spans(storage, "older", ended=NOW - 20 * DAY)
    await run_with_spans(storage, "young", ended=NOW - DAY)
    await run_with_spans(storage, "running", ended=None)
    retention = Retention(ACCOUNT, NOW - 5 * DAY)

    preview = await storage.maintenance.preview(retention)
    assert await runs(storage, "old", "older") == {"old", "older"}
    (pruned,) = await prune_all(storage, retention)

    assert pruned == preview
    assert (pruned.runs, pruned.spans) == (2, 6)
    assert 6 * 11 < pruned.payload_bytes < 6 * (len(LARGE) + 11)
    assert await runs(storage, "old", "older", "young", "running") == {"young", "running"}
    assert await storage.span(ACCOUNT, "old-span-0") is None
    assert (await storage.span(ACCOUNT, "young-span-0")).payload == LARGE
    assert await findings(storage) == []
    assert await storage.maintenance.preview(retention) == Pruned()


async def check_pruned_by_agent_and_environment(storage: Any) -> None:
    """Check that a retention of an agent or environment leaves the runs of others."""
    await run_with_spans(storage, "mine")
    await run_with_spans(storage, "mine-staging", environment=STAGING)
    await run_with_spans(storage, "theirs", agent="their-agent")
    agent_id = (await storage.agent(ACCOUNT, "my-agent")).agent.id
    later = NOW + DAY
    for retention, previewed, left in (
        (Retention(ACCOUNT, later, agent_id, STAGING), 1, {"mine", "theirs"}),
        (Retention(ACCOUNT, later, agent_id), 1, {"theirs"}),
        (Retention(OTHER_ACCOUNT, later), 0, {"theirs"}),
        (Retention(ACCOUNT, later, None, STAGING), 0, {"theirs"}),
        (Retention(ACCOUNT, later, None, ENVIRONMENT), 1, set()),
    ):
        assert (await storage.maintenance.preview(retention)).runs == previewed
        await prune_all(storage, retention)
        assert await runs(storage, "mine", "mine-staging", "theirs") == left


async def check_held(storage: Any) -> None:
    """Check that a run on hold stays until its release, and that a hold needs a run."""
    maintenance = storage.maintenance
    await run_with_spans(storage, "kept", ended=NOW - 10 * DAY)
    await run_with_spans(storage, "gone", ended=NOW - 10 * DAY)
    retention = Retention(ACCOUNT, NOW)

    assert await maintenance.add_hold(*hold("kept", "a first reason"))
    assert await maintenance.add_hold(*hold("kept", "a second reason", NOW + 5))
    assert not await maintenance.add_hold(*hold("nobody"))
    (held,) = await maintenance.holds(ACCOUNT)
    assert (held.reason, held.inserted_at) == ("a second reason", NOW)
    agent_id = (await storage.agent(ACCOUNT, "my-agent")).agent.id
    for of, held_runs in (
        (retention, 1),
        (Retention(ACCOUNT, NOW, agent_id, ENVIRONMENT), 1),
        (Retention(ACCOUNT, NOW, "another-agent"), 0),
        (Retention(ACCOUNT, NOW, None, STAGING), 0),
        (Retention("x", NOW), 0),
    ):
        assert await maintenance.held(of) == held_runs
    assert (await maintenance.preview(retention)).runs == 1
    await prune_all(storage, retention)
    assert await runs(storage, "kept", "gone") == {"kept"}

    assert await maintenance.remove_hold(ACCOUNT, "kept", release("kept"))
    assert not await maintenance.remove_hold(ACCOUNT, "kept", release("kept"))
    await prune_all(storage, retention)
    assert await runs(storage, "kept") == set()


async def check_slices(storage: Any) -> None:
    """Check that a run larger than a slice is deleted whole, and ends its slice."""
    await run_with_spans(storage, "long", spans=25)
    await run_with_spans(storage, "short", spans=1, ended=NOW + 1)
    await run_with_spans(storage, "middle", spans=8, ended=NOW + 2)
    await run_with_spans(storage, "last", spans=4, ended=NOW + 3)
    retention = Retention(ACCOUNT, NOW + DAY)

    slices: list[tuple[int, int]] = []
    while (pruned := await storage.maintenance.prune(retention, NOW, ACTOR)) != Pruned():
        slices.append((pruned.runs, pruned.spans))
        assert await findings(storage) == []
    assert slices == [(1, 25), (2, 9), (1, 4)]


async def check_audited(storage: Any, entries: Callable[[], Awaitable[list[Any]]]) -> None:
    """Check that each completed action has one entry, and that others have none."""
    await run_with_spans(storage, "run-1")
    await storage.maintenance.add_hold(*hold("run-1"))
    await prune_all(storage, Retention(ACCOUNT, NOW + DAY))
    await storage.maintenance.remove_hold(ACCOUNT, "run-1", release("run-1"))
    await storage.maintenance.remove_hold(ACCOUNT, "run-1", release("run-1"))
    await storage.maintenance.add_hold(*hold("nobody"))
    await prune_all(storage, Retention(ACCOUNT, NOW + DAY))

    found = [tuple(entry) for entry in await entries()]
    assert [entry[:2] for entry in found] == [
        ("legal_holds.add", "run-1"),
        ("legal_holds.remove", "run-1"),
        ("agent_instances.prune", ACCOUNT),
    ]
    assert found[0][2] == "a lawsuit"
    assert "1 runs, 3 spans" in found[2][2]
