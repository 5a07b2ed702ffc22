"""Registering a run: what is found, created and refused."""

from typing import Any

import pytest
from database import Database
from rows import (
    ACCOUNT,
    ENVIRONMENT,
    NOW,
    OTHER_ACCOUNT,
    STAGING,
    create_agent,
    metadata,
    register,
    request,
    schema,
)

from prefactor_server.commands.agent_instance_register import VersionMetadata
from prefactor_server.domain.errors import InvalidAction, NotFound

PFID = "013xrzp12g3nqk8ns6jadrqmpgrjkeny"


async def current(database: Database, agent: str = "my-agent") -> Any:
    """The name and schema of an agent's current version in the default environment."""
    (row,) = database.rows(
        "SELECT version.name, schema.content_hash FROM agent"
        " JOIN agent_deployment AS d ON d.account_id = agent.account_id AND d.agent_id = agent.id"
        " LEFT JOIN agent_version AS version ON version.id = d.current_version_id"
        " LEFT JOIN agent_schema_version AS schema ON schema.id = version.agent_schema_version_id"
        " WHERE agent.external_identifier = ? AND d.environment_id = ?",
        agent,
        ENVIRONMENT,
    )
    return row[0], row[1] and row[1].decode().rstrip(".")


def counted(database: Database) -> dict[str, int]:
    """Return the number of rows of everything that a run belongs to."""
    tables = (
        "agent",
        "agent_deployment",
        "agent_version",
        "agent_schema_version",
        "agent_instance",
    )
    return {
        table.removeprefix("agent_"): database.rows(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608
        for table in tables
    }


async def test_an_unknown_agent_is_created(database: Database) -> None:
    """The first registration of a name makes the agent and everything between it and the run."""
    run = await database.do(register("r"))

    assert (run.status, run.inserted_at, run.started_at) == ("pending", NOW, None)
    record = await database.storage.agent(ACCOUNT, "my-agent")
    assert record is not None
    assert (record.agent.id, record.agent.name) == (run.agent_id, "my-agent")
    assert record.last_registered_at == NOW
    assert counted(database) == {
        "agent": 1,
        "deployment": 1,
        "version": 1,
        "schema_version": 1,
        "instance": 1,
    }
    assert await database.run("r") == run


async def test_the_second_registration_finds_everything(database: Database) -> None:
    """An identical registration adds only a run, in its own batch or a shared one."""
    first = await database.do(register("r1"))
    await database.submit(register("r2"), register("r3"))
    other = await database.do(register("r4", first.agent_id))

    assert counted(database) == {
        "agent": 1,
        "deployment": 1,
        "version": 1,
        "schema_version": 1,
        "instance": 4,
    }
    assert other.agent_version_id == first.agent_version_id


async def test_a_batch_of_registrations_creates_one_agent(database: Database) -> None:
    """Registrations of a new agent in one batch share the rows that the first of them creates."""
    outcomes = await database.submit(*(register(f"r{number}") for number in range(5)))

    assert len(outcomes) == 5
    assert counted(database)["agent"] == counted(database)["version"] == 1


@pytest.mark.parametrize(("ref", "create"), [("my-agent", False), (PFID, True), (PFID, False)])
async def test_agents_are_not_always_created(database: Database, ref: str, create: bool) -> None:
    """If agents may not be created, or for an unknown PFID, an unknown agent is refused."""
    refusal = await database.refuse(register("r", ref, create_agent=create), NotFound)

    assert refusal.message == f"Agent {ref!r} not found"
    assert counted(database)["agent"] == 0


async def test_a_known_pfid_is_found(database: Database) -> None:
    """An agent whose id is a PFID registers under it."""
    await database.do(create_agent(PFID))

    assert (await database.do(register("r", PFID, create_agent=False))).agent_id == PFID


async def test_a_retired_agent_is_refused(database: Database) -> None:
    """A retired agent registers no run, whichever of its names is used."""
    await database.do(create_agent("a", "name"))
    database.execute("UPDATE agent SET retired_at = 1")

    for ref in ("a", "name"):
        refusal = await database.refuse(register("r", ref), InvalidAction)
        assert "retired" in refusal.message


async def test_an_unknown_environment_is_refused(database: Database) -> None:
    """A registration in an environment that does not exist is refused, and makes no agent."""
    refusal = await database.refuse(register("r", environment_id="nowhere"), NotFound)

    assert refusal.message == "Environment 'nowhere' not found"
    assert counted(database)["agent"] == 0


async def test_without_a_default_environment_one_is_required(database: Database) -> None:
    """Where no environment is the default, a registration has to name one."""
    database.execute("UPDATE environment SET is_default = 0")

    refusal = await database.refuse(register("r"), NotFound)
    named = await database.do(register("r", environment_id=STAGING))

    assert refusal.message == "Environment 'Default' not found"
    assert named.environment_id == STAGING


async def test_environments_have_separate_deployments(database: Database) -> None:
    """An agent has one deployment in each environment, and each its own current version."""
    default = await database.do(register("r1", metadata=metadata("v1")))
    staging = await database.do(
        register("r2", environment_id=STAGING, metadata=metadata("v2"), schema=schema("s2"))
    )
    silent = await database.do(register("r3"))
    named = await database.do(register("r4", environment_id=ENVIRONMENT))

    assert default.environment_id == ENVIRONMENT
    assert staging.environment_id == STAGING
    assert default.agent_deployment_id != staging.agent_deployment_id
    assert silent.agent_version_id == named.agent_version_id == default.agent_version_id
    assert named.agent_deployment_id == default.agent_deployment_id
    assert counted(database)["deployment"] == 2


# What is current, what a registration says, and what its run is bound to: metadata and schema.
@pytest.mark.parametrize(
    ("said", "bound"),
    [
        ((None, None), ("v1", "s1")),
        (("v1", None), ("v1", "s1")),
        ((None, "s1"), ("v1", "s1")),
        (("v1", "s1"), ("v1", "s1")),
        (("v2", None), ("v2", "s1")),
        ((None, "s2"), (None, "s2")),
        (("v1", "s2"), ("v1", "s2")),
        (("v2", "s2"), ("v2", "s2")),
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_a_run_is_bound_to_its_declaration(
    database: Database,
    said: tuple[str | None, str | None],
    bound: tuple[str | None, str],
    together: bool,
) -> None:
    """Missing parts come from the current version; the rest is found by content."""
    first = register("r1", metadata=metadata("v1"), schema=schema("s1"))
    name, declared = said
    second = register(
        "r2",
        metadata=None if name is None else metadata(name),
        schema=None if declared is None else schema(declared),
    )
    if together:
        await database.submit(first, second)
    else:
        await database.do(first)
        await database.do(second)

    assert await current(database) == bound
    one, two = await database.run("r1"), await database.run("r2")
    assert (one.agent_version_id == two.agent_version_id) == (bound == ("v1", "s1"))
    assert (one.agent_schema_version_id == two.agent_schema_version_id) == (bound[1] == "s1")


async def test_a_run_stays_bound_to_its_declaration(database: Database) -> None:
    """Later registrations change what is current, and never what an earlier run is bound to."""
    first = await database.do(register("r1", metadata=metadata("v1"), schema=schema("s1")))
    await database.do(register("r2", metadata=metadata("v2"), schema=schema("s2")))

    assert await database.run("r1") == first
    assert await current(database) == ("v2", "s2")


async def test_the_current_version_can_be_left_alone(database: Database) -> None:
    """With update_current_version off, the run has its version but the deployment keeps its own."""
    await database.do(register("r1", metadata=metadata("v1", description="one")))
    run = await database.do(
        register("r2", metadata=metadata("v2"), schema=schema("s2"), update_current_version=False)
    )

    assert await current(database) == ("v1", "empty_schema")
    assert run.agent_version_id != (await database.run("r1")).agent_version_id
    record = await database.storage.agent(ACCOUNT, "my-agent")
    assert record is not None
    assert record.agent.name == "v1"


async def test_a_first_registration_can_leave_no_current_version(database: Database) -> None:
    """A deployment without a current version gets one from a registration that may set it."""
    await database.do(register("r1", metadata=metadata("v1"), update_current_version=False))
    assert await current(database) == (None, None)

    await database.do(register("r2"))
    assert await current(database) == (None, "empty_schema")


async def test_a_version_is_identified_by_its_content(database: Database) -> None:
    """The same identifier with other content is another version; the same content is the same."""
    runs = [
        await database.do(register(f"r{number}", metadata=said, schema=schema("s")))
        for number, said in enumerate(
            [
                VersionMetadata("1.0", "A", None, None),
                VersionMetadata("1.0", "B", None, None),
                VersionMetadata("1.0", "A", None, b"{}"),
                VersionMetadata("1.0", "A", "", None),
                VersionMetadata(None, "A", None, None),
                VersionMetadata("1.0", "A", None, None),
            ]
        )
    ]

    versions = [run.agent_version_id for run in runs]
    assert len(set(versions)) == 5
    assert versions[0] == versions[5]
    assert counted(database)["schema_version"] == 1


async def test_a_schema_is_found_by_content(database: Database) -> None:
    """The same schema under another identifier is found, not created again."""
    first = await database.do(register("r1", schema=schema("s", identifier="1")))
    second = await database.do(register("r2", schema=schema("s", identifier="2")))
    third = await database.do(register("r3", schema=schema("t", identifier="1")))

    assert first.agent_schema_version_id == second.agent_schema_version_id
    assert first.agent_schema_version_id != third.agent_schema_version_id
    content = await database.storage.schema_content(ACCOUNT, first.agent_schema_version_id)
    assert content == b'["s"]'


async def test_agents_share_content_but_no_versions(database: Database) -> None:
    """Two agents that declare the same have separate versions over one stored content."""
    one = await database.do(register("r1", "one", schema=schema("s")))
    two = await database.do(register("r2", "two", schema=schema("s")))

    assert one.agent_schema_version_id != two.agent_schema_version_id
    assert database.rows("SELECT count(*) FROM schema_content") == [(1,)]


async def test_a_bulk_may_return_to_an_earlier_version(database: Database) -> None:
    """An existing version is found even when only an earlier item of the bulk refers to it."""
    bulk = [
        register("a1", metadata=metadata("v1"), schema=schema("s2")),
        register("a2", metadata=metadata("v2")),
    ]
    again = [
        register("b1", metadata=metadata("v1"), schema=schema("s2")),
        register("b2", metadata=metadata("v2")),
    ]
    await database.submit(*bulk)
    await database.do(register("between", metadata=metadata("v1"), schema=schema("s1")))

    await database.submit(*again)

    before, after = await database.run("a2"), await database.run("b2")
    assert after.agent_version_id == before.agent_version_id


async def test_a_version_names_its_agent(database: Database) -> None:
    """Name and description of the current version are the agent's own from then on."""
    await database.do(register("r1", metadata=metadata("First", description="d1")))
    await database.submit(
        register("r2", metadata=metadata("Second")), register("r3", metadata=metadata(None))
    )

    record = await database.storage.agent(ACCOUNT, "my-agent")
    assert record is not None
    assert (record.agent.name, record.agent.description) == ("Second", "d1")


async def test_an_id_is_used_once(database: Database) -> None:
    """A run with an existing id is refused, in a later request and in the same batch."""
    await database.do(register("r"))

    refusal = await database.refuse(register("r", "other-agent"), InvalidAction)
    outcomes = await database.submit(register("new"), register("new"))

    assert refusal.message == "An agent instance with the id 'r' already exists"
    assert [type(outcome).__name__ for outcome in outcomes] == ["Done", "Refused"]
    assert await database.storage.agent(ACCOUNT, "other-agent") is None


async def test_ids_differ_by_case(database: Database) -> None:
    """Ids are case-sensitive."""
    await database.submit(register("run", "agent"), register("RUN", "AGENT"))

    assert (await database.run("run")).agent_id != (await database.run("RUN")).agent_id


async def test_an_external_identifier_is_used_once_per_agent(database: Database) -> None:
    """A run's external identifier is refused a second time, but only for the same agent."""
    await database.do(register("r1", external_identifier="x"))

    refusal = await database.refuse(register("r2", external_identifier="x"), InvalidAction)
    await database.do(register("r3", "other-agent", external_identifier="x"))
    outcomes = await database.submit(
        register("r4", external_identifier="y"), register("r5", external_identifier="y")
    )

    assert "external identifier 'x' already exists" in refusal.message
    assert [type(outcome).__name__ for outcome in outcomes] == ["Done", "Refused"]


async def test_accounts_share_nothing(database: Database) -> None:
    """Two accounts register the same ids and names in one batch and see only their own rows."""
    theirs = register("r", request=request(OTHER_ACCOUNT), external_identifier="x")
    await database.submit(register("r", external_identifier="x"), theirs)

    mine, other = await database.run("r"), await database.run("r", OTHER_ACCOUNT)
    assert mine.agent_id != other.agent_id
    assert mine.agent_version_id != other.agent_version_id


async def test_odd_names_are_found(database: Database) -> None:
    """A name with quotes, digits, JSON words or other scripts is found unchanged."""
    names = [
        '"',
        "'; DROP TABLE agent; --",
        "1",
        "1.0",
        "true",
        "null",
        "[]",
        "é",
        "日本😀",
        "\\u0061",
    ]
    for number, name in enumerate(names):
        await database.do(register(f"a{number}", name, external_identifier=name))
    for number, name in enumerate(names):
        await database.do(register(f"b{number}", name))
        await database.refuse(register("c", name, external_identifier=name), InvalidAction)

    assert counted(database)["agent"] == len(names)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (VersionMetadata("a", "b"), VersionMetadata("ab", "")),
        (VersionMetadata("a", None, "b"), VersionMetadata("a", "b", None)),
        (VersionMetadata(""), VersionMetadata(None)),
        (VersionMetadata("1;2:x"), VersionMetadata("1", "x")),
        (VersionMetadata(None, None, None, b"{}"), VersionMetadata()),
    ],
)
def test_different_metadata_has_different_digests(
    one: VersionMetadata, two: VersionMetadata
) -> None:
    """Any difference in metadata, even only in position, gives another digest."""
    assert one.hash() != two.hash()
    assert one.hash() == VersionMetadata(*one).hash()
