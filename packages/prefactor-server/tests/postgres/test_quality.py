"""Quality, counts by type and spans by id over PostgreSQL."""

from postgres_database import PostgresDatabase, do, on_another_replica, submit
from rows import ACCOUNT, OTHER_ACCOUNT, create_span, payload, principal, register, request

from prefactor_server.commands.base import Done
from prefactor_server.commands.quality import RecordQuality
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import PARAMS
from prefactor_server.domain.runs.quality import InstanceQuality, entry_text
from prefactor_server.storage.postgres.backend import PostgresStorage


def _record(run: AgentInstance, name: str) -> RecordQuality:
    return RecordQuality(
        operation="agent_instances.record_quality",
        request=request(),
        principal=principal(),
        id=run.id,
        name=name,
        entry=entry_text(b'{"grade":"A"}', None, None),
        schema_version_id=run.agent_schema_version_id,
        max_bytes=1000,
    )


async def _recorded(storage: PostgresStorage) -> set[str]:
    quality = await storage.row(InstanceQuality, ACCOUNT, "run-1")
    return set() if quality is None else set(quality.entries())


async def test_two_replicas_lose_no_quality(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """Two replicas that record quality at the same time never overwrite each other's entry."""
    run = await do(storage, register("run-1"))
    before = await _recorded(storage)
    for number in range(2):
        other = on_another_replica(database, _record(run, f"other-{number}"))
        (outcome,) = await submit(storage, _record(run, f"own-{number}"), meanwhile=other)
        assert isinstance(outcome, Done)

    assert before == set()
    assert await _recorded(storage) == {"own-0", "other-0", "own-1", "other-1"}


async def test_spans_are_read_by_their_ids(storage: PostgresStorage) -> None:
    """The existing spans are returned with their payloads, and no others."""
    run = await do(storage, register("run-1"))
    await submit(
        storage,
        create_span("a", run, payloads=(payload("a", PARAMS, b'{"n":1}'),)),
        create_span("b", run),
        create_span("c", run),
    )

    found = await storage.spans_by_id(ACCOUNT, ["a", "b", "unknown"])

    assert {one.span.id: one for one in found} == {
        "a": await storage.span(ACCOUNT, "a"),
        "b": await storage.span(ACCOUNT, "b"),
    }
    assert await storage.spans_by_id(OTHER_ACCOUNT, ["a"]) == []
