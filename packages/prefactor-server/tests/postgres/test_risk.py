"""The inputs of risk and cost are the same in PostgreSQL and in SQLite."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from database import make_database
from postgres_database import PostgresDatabase, do, submit
from rows import (
    ACCOUNT,
    ENVIRONMENT,
    FACTS,
    OTHER_ACCOUNT,
    create_agent,
    create_span,
    register,
    request,
    risk_profile,
)

from prefactor_server.commands.base import Decision, Done, Request
from prefactor_server.commands.risk_profile import CreateRiskProfile, DeleteRiskProfile
from prefactor_server.domain.runs.usage import Usage
from prefactor_server.storage.base import Changes, Needs, Snapshot, SpanUsage, Storage
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.postgres.risk import READS


class OldAgent(NamedTuple):
    """Stores an agent as older servers did, without checking its profile."""

    id: str
    risk_profile_id: str
    request: Request = request()
    operation: str = "tests.old_agent"

    def needs(self, needs: Needs) -> None:
        del needs

    def decide(self, snapshot: Snapshot) -> Decision:
        command = create_agent(self.id, request=self.request)
        (made,) = command.decide(snapshot).changes.inserted
        agent = made._replace(risk_profile_id=self.risk_profile_id)
        return Decision(Changes(inserted=(agent,)), Done(agent.id, agent))


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Storage]:
    """The backend that it is compared with."""
    made = await make_database(tmp_path / "prefactor.db")
    yield made.storage
    await made.storage.close()


async def fill(storage: Storage) -> None:
    """Agents with, without and with a deleted profile, and runs with spans of all kinds."""
    profiles = [
        CreateRiskProfile(request(), risk_profile(id="kept")),
        CreateRiskProfile(request(), risk_profile(id="gone")),
        DeleteRiskProfile(request(), "gone"),
    ]
    agents = [
        create_agent("weighed", risk_profile_id="kept"),
        OldAgent("orphan", "gone"),
        OldAgent("dangling", "never-was"),
        create_agent("bare"),
    ]
    outcomes = await submit(storage, *profiles, *agents)
    outcomes += await submit(storage, OldAgent("weighed", "kept", request(OTHER_ACCOUNT)))
    assert all(isinstance(outcome, Done) for outcome in outcomes), outcomes
    uses: list[dict[str, Any]] = [
        {"model": "m", "prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        {"model": "m", "prompt_tokens": 2**53},
        {"model": "m", "total_tokens": 3},
        {"model": "m"},
        {"completion_tokens": 1},
        {},
    ]
    for run_id in ("run-1", "run-2"):
        run = await do(storage, register(run_id, "weighed"))
        spans = [
            create_span(
                f"{run_id}-{kind}-{number}",
                run,
                schema_name=kind,
                facts=msgspec.structs.replace(FACTS, usage=Usage(**use)),
            )
            for kind in ("llm", "tool")
            for number, use in enumerate(uses)
        ]
        await submit(storage, *spans)


async def test_usage_is_counted_alike(storage: PostgresStorage, embedded: Storage) -> None:
    """Spans are counted by run, type and model, and tokens are added up, the same in both."""
    for one in (storage, embedded):
        await fill(one)

    found = [await one.span_usage(ACCOUNT, ["run-1", "run-9"]) for one in (storage, embedded)]

    assert sorted(found[0], key=repr) == sorted(found[1], key=repr)
    known = [one._replace(last_activity_at=None) for one in found[0]]
    assert SpanUsage("run-1", "llm", "m", 4, 3, 2, float(2**53 + 5), 7.0) in known
    assert SpanUsage("run-1", "tool", None, 2, 1, 1, 0.0, 1.0) in known
    assert all(one.last_activity_at for one in found[0])
    assert len(found[0]) == 4
    for one in (storage, embedded):
        assert await one.span_usage(OTHER_ACCOUNT, ["run-1"]) == []


async def test_profiles_are_found_by_their_agents(
    storage: PostgresStorage, embedded: Storage
) -> None:
    """An agent has the profile that it names, unless that was deleted or never existed."""
    for one in (storage, embedded):
        await fill(one)
        agents = ["weighed", "orphan", "dangling", "bare", "unknown"]
        found = await one.risk_profiles_of(ACCOUNT, agents)
        assert found == {"weighed": risk_profile(id="kept")}
        assert await one.risk_profiles_of(OTHER_ACCOUNT, agents) == {}


async def test_usage_is_found_by_index(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Only the spans of the requested runs are read, however many there are."""
    await database.rows(
        f"""INSERT INTO agent_span (id, account_id, agent_id, environment_id, agent_instance_id,
                schema_name, inserted_at, payload_size, status, flags, result_size, updated_at)
            SELECT 'span-' || n, '{ACCOUNT}', 'agent', 'e', 'run-' || n % 500, 'llm', 1, 0,
                   'active', 0, 0, 1
            FROM generate_series(1, 20000) AS n"""  # noqa: S608 - ours
    )
    await database.rows("ANALYZE")

    async with storage.reads.connection() as connection:
        plan = await connection.fetch(
            f"EXPLAIN {READS['risk.span_usage']}", ACCOUNT, ["run-1", "run-2"]
        )

    assert "agent_span_default_of_instance" in str(plan)


async def test_runs_are_found_alike(storage: PostgresStorage, embedded: Storage) -> None:
    """The runs of an agent in the order of their ids are the same in both."""
    for one in (storage, embedded):
        await fill(one)
        run = await one.instance(ACCOUNT, "run-1")
        assert run is not None
        agent_id = run.agent_id
        whole = await one.instances_of_agent(ACCOUNT, agent_id, "", 9)
        assert [run.id for run in whole] == ["run-1", "run-2"]
        assert list(await one.instances_of_agent(ACCOUNT, agent_id, "run-1", 9)) == whole[1:]
        assert list(await one.instances_of_agent(ACCOUNT, agent_id, "", 1)) == whole[:1]
        assert list(await one.instances_of_agent(OTHER_ACCOUNT, agent_id, "", 9)) == []


async def test_types_are_found_alike(storage: PostgresStorage, embedded: Storage) -> None:
    """An agent's current types and the types of its spans are the same on both backends."""
    for one in (storage, embedded):
        await fill(one)
        run = await one.instance(ACCOUNT, "run-1")
        assert run is not None
        version = run.agent_schema_version_id

        for environment in (None, ENVIRONMENT):
            current, recorded = await one.agent_types(ACCOUNT, "weighed", environment)
            assert current == [version]
            assert sorted(recorded) == [(version, "llm", 12), (version, "tool", 12)]
        assert await one.agent_types(ACCOUNT, "weighed", "elsewhere") == ([], [])
        assert await one.agent_types(OTHER_ACCOUNT, "weighed", None) == ([], [])
