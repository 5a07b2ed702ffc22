"""Agents in PostgreSQL: references to them, and servers that interleave."""

from postgres_database import PostgresDatabase, do, on_another_replica, submit
from rows import ACCOUNT, create_agent, register, request

from prefactor_server.commands.agent import DeleteAgent, RetireAgent, UpdateAgent
from prefactor_server.commands.base import Done, Outcome, Refused
from prefactor_server.domain.errors import InvalidAction, NotFound
from prefactor_server.domain.listing import Filter, Listing
from prefactor_server.storage.base import AgentRecord
from prefactor_server.storage.postgres.backend import PostgresStorage


async def _record(storage: PostgresStorage, ref: str) -> AgentRecord | None:
    return await storage.agent(ACCOUNT, ref)


async def test_an_agent_is_read_with_its_use(storage: PostgresStorage) -> None:
    """By name and on lists, an agent says when it last registered and whether it is in use."""
    await do(storage, create_agent("idle"))
    run = await do(storage, register("run-1", agent_ref="busy"))

    busy, idle = await _record(storage, "busy"), await _record(storage, "idle")
    listed = await storage.agents(ACCOUNT, Listing())

    assert busy is not None
    assert idle is not None
    assert (busy.last_registered_at, busy.in_use) == (run.inserted_at, True)
    assert (idle.last_registered_at, idle.in_use) == (None, False)
    assert {row.agent.id: row for row in listed.rows} == {
        busy.agent.id: busy,
        idle.agent.id: idle,
    }


async def test_agents_are_found_by_environment(storage: PostgresStorage) -> None:
    """A filter on the environment keeps the agents that are deployed there."""
    await do(storage, create_agent("idle"))
    run = await do(storage, register("run-1", agent_ref="busy"))

    async def found(environment_id: str) -> list[str]:
        listing = Listing(filters=(Filter("environment_id", "=", environment_id),))
        return [row.agent.id for row in (await storage.agents(ACCOUNT, listing)).rows]

    assert await found(run.environment_id) == [run.agent_id]
    assert await found("elsewhere") == []


async def test_agents_are_changed_and_deleted(storage: PostgresStorage) -> None:
    """A changed agent is stored with the fields of its status, and a deleted one does not exist."""
    run = await do(storage, register("run-1", agent_ref="busy"))
    await do(storage, create_agent("idle"))

    named = UpdateAgent(request(), "busy", run.agent_id, {"team_id": "t"})
    updated = await do(storage, named)
    retired = await do(storage, RetireAgent(request(), run.agent_id, run.agent_id))
    (kept,) = await submit(storage, DeleteAgent(request(), "busy", run.agent_id))
    await do(storage, DeleteAgent(request(), "idle", "idle"))

    assert (updated.agent.team_id, updated.last_registered_at) == ("t", run.inserted_at)
    assert isinstance(kept, Refused)
    assert await _record(storage, "busy") == retired
    assert await _record(storage, "idle") is None


async def test_an_agent_that_another_server_uses_is_not_deleted(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A run that is registered while its agent is being deleted keeps the agent."""
    await do(storage, create_agent("a"))
    other = on_another_replica(database, register("run-1", agent_ref="a"))

    (outcome,) = await submit(storage, DeleteAgent(request(), "a", "a"), meanwhile=other)

    assert isinstance(outcome, Refused)
    assert isinstance(outcome.refusal, InvalidAction)
    assert await _record(storage, "a") is not None


async def test_an_agent_that_another_server_deletes_is_not_used(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A run is not registered for an agent that was deleted while the registration was decided."""
    await do(storage, create_agent("a"))
    theirs: list[Outcome] = []
    other = on_another_replica(database, DeleteAgent(request(), "a", "a"), into=theirs)
    command = register("run-1", agent_ref="a")._replace(create_agent=False)

    (outcome,) = await submit(storage, command, meanwhile=other)

    assert isinstance(theirs[0], Done)
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.refusal, NotFound)
    assert await storage.instance(ACCOUNT, "run-1") is None
