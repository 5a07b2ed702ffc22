"""The control plane in PostgreSQL: rows are changed and deleted safely by two servers."""

from postgres_database import PostgresDatabase, do, on_another_replica, submit
from rows import ACCOUNT, NOW, STAGING, create_agent, register, request, schema

from prefactor_server.commands.account import UpdateAccount
from prefactor_server.commands.agent_deployment import (
    CreateDeployment,
    DeleteDeployment,
    UpdateDeployment,
)
from prefactor_server.commands.agent_instance_register import VersionMetadata
from prefactor_server.commands.agent_schema_version import CreateSchemaVersion
from prefactor_server.commands.agent_version import CreateVersion
from prefactor_server.commands.api_token import ChangeToken, CreateToken, DeleteToken
from prefactor_server.commands.base import Done, Outcome, Refused
from prefactor_server.commands.environment import (
    CreateEnvironment,
    DeleteEnvironment,
    UpdateEnvironment,
)
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.api_token import ApiToken, new_token
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.errors import InvalidAction, NotFound
from prefactor_server.domain.listing import Filter, Listing
from prefactor_server.storage.postgres.backend import PostgresStorage


async def test_an_account_is_renamed(storage: PostgresStorage) -> None:
    """The account of the caller has its new name, and no other account."""
    await do(storage, UpdateAccount(request(now=NOW + 1), "Research"))

    assert [one.name for one in await storage.accounts()] == ["Other", "Research"]
    account = await storage.account(ACCOUNT)
    assert account is not None
    assert (account.name, account.updated_at) == ("Research", NOW + 1)


async def test_environments_are_created_changed_and_deleted(storage: PostgresStorage) -> None:
    """Environments can be created, renamed and deleted."""
    await do(storage, CreateEnvironment(request(), "e", "First"))
    await do(storage, UpdateEnvironment(request(now=NOW + 1), "e", "Second"))
    renamed = await storage.row(Environment, ACCOUNT, "e")
    await do(storage, DeleteEnvironment(request(), "e"))

    assert renamed == Environment("e", ACCOUNT, "Second", False, NOW, NOW + 1)
    assert await storage.row(Environment, ACCOUNT, "e") is None
    entries = "SELECT action, resource_id FROM audit_entry ORDER BY at, action"
    assert ("environments.delete", "e") in await _rows(storage, entries)


async def test_a_request_may_delete_and_recreate_a_row(
    storage: PostgresStorage,
) -> None:
    """Deletions run before the inserts that replace them, and an unstored row may be deleted."""
    await do(storage, CreateEnvironment(request(), "e", "First"))
    outcomes = await submit(
        storage,
        DeleteEnvironment(request(), "e"),
        CreateEnvironment(request(), "e", "Second"),
        CreateEnvironment(request(), "f", "Third"),
        DeleteEnvironment(request(), "f"),
    )

    assert all(isinstance(outcome, Done) for outcome in outcomes)
    found = await storage.rows(Environment, ACCOUNT, Listing((Filter("id", ">=", "e"),)))
    names = {one.id: one.name for one in found.rows}
    assert (names["e"], "f" in names) == ("Second", False)


async def test_a_token_creates_its_deployment(storage: PostgresStorage) -> None:
    """A token for an agent and environment without a deployment creates the deployment."""
    await do(storage, create_agent("a"))
    row = new_token("a-secret", "token-9", ACCOUNT, NOW, scope="agent_deployment")
    token = await do(storage, CreateToken(request(), row, "a", STAGING, "d"))

    assert token.agent_deployment_id == "d"
    (refused,) = await submit(storage, DeleteDeployment(request(), "d"))
    assert isinstance(refused, Refused)
    done = await submit(
        storage,
        ChangeToken(request(), "token-9", "revoke"),
        DeleteToken(request(), "token-9"),
        DeleteDeployment(request(), "d"),
        DeleteEnvironment(request(), STAGING),
    )
    assert [type(outcome) for outcome in done] == [Done] * 4


async def test_a_token_is_revoked_and_deleted(storage: PostgresStorage) -> None:
    """A token's status is stored, and a deleted token cannot be found."""
    token_id = (await storage.rows(ApiToken, ACCOUNT, Listing())).rows[0].id
    await do(storage, ChangeToken(request(now=NOW + 1), token_id, "revoke"))
    revoked = await storage.row(ApiToken, ACCOUNT, token_id)
    await do(storage, DeleteToken(request(), token_id))

    assert revoked is not None
    assert (revoked.status, revoked.updated_at) == ("revoked", NOW + 1)
    assert await storage.token_by_hash(revoked.token_hash) is None


async def test_versions_are_created_once_and_numbered(storage: PostgresStorage) -> None:
    """A schema version and a version are found again by their content, and by their identifier."""
    await do(storage, create_agent("a"))
    declared = schema("s1")
    first = await do(storage, CreateSchemaVersion(request(), "s", False, "a", declared))
    again = await do(storage, CreateSchemaVersion(request(), "t", False, "a", declared))
    version = await do(storage, _version("v", newest="s"))
    same = await do(storage, _version("w", named="s"))

    assert (first.id, again) == ("s", first)
    assert (version.agent_schema_version_id, same) == ("s", version)
    counts = await storage.identifier_counts(AgentVersion, ACCOUNT, "a", ["v1", "v2"])
    assert counts == {"v1": 1}


async def test_a_version_without_any_schema_gets_one(storage: PostgresStorage) -> None:
    """The empty schema version is created with the first version that needs it."""
    await do(storage, create_agent("a"))
    version = await do(storage, _version("v"))

    made = await storage.row(AgentSchemaVersion, ACCOUNT, version.agent_schema_version_id)
    assert made is not None
    assert await storage.schema_content(ACCOUNT, made.id) is not None


async def test_deployments_are_created_changed_and_deleted(storage: PostgresStorage) -> None:
    """A version is pinned in a deployment and unpinned; a deployment without runs is deleted."""
    await do(storage, create_agent("a"))
    await do(storage, CreateDeployment(request(), "d", "a", STAGING, None))
    await do(storage, _version("v"))
    await do(storage, UpdateDeployment(request(), "d", "v"))
    pinned = await storage.current_versions(ACCOUNT, "a")
    await do(storage, UpdateDeployment(request(), "d", None))

    assert [(one.agent_deployment_id, one.agent_version_id) for one in pinned] == [("d", "v")]
    assert await storage.current_versions(ACCOUNT, "a") == []
    await do(storage, DeleteDeployment(request(), "d"))
    assert await storage.row(AgentDeployment, ACCOUNT, "d") is None


async def test_a_deployment_that_another_server_uses_is_not_deleted(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A run that is registered while its deployment is deleted keeps the deployment."""
    await do(storage, create_agent("a"))
    await do(storage, CreateDeployment(request(), "d", "a", STAGING, None))
    meanwhile = on_another_replica(database, register("r", "a", environment_id=STAGING))

    (outcome,) = await submit(storage, DeleteDeployment(request(), "d"), meanwhile=meanwhile)

    assert isinstance(outcome, Refused)
    assert isinstance(outcome.refusal, InvalidAction)
    assert await storage.row(AgentDeployment, ACCOUNT, "d") is not None


def _version(version_id: str, newest: str | None = None, named: str | None = None) -> CreateVersion:
    """The creation of a version of agent a, always with the same content."""
    return CreateVersion(
        request(),
        version_id,
        False,
        "a",
        VersionMetadata(external_identifier="v1"),
        named,
        newest,
        schema("empty_schema"),
        f"schema-of-{version_id}",
    )


async def test_an_environment_that_another_server_uses_is_not_deleted(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A run that is registered while its environment is deleted keeps the environment."""
    meanwhile = on_another_replica(database, register("r", environment_id=STAGING))

    (outcome,) = await submit(storage, DeleteEnvironment(request(), STAGING), meanwhile=meanwhile)

    assert isinstance(outcome, Refused)
    assert isinstance(outcome.refusal, InvalidAction)
    assert await storage.row(Environment, ACCOUNT, STAGING) is not None


async def test_an_environment_that_another_server_deletes_is_not_used(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """A run is not registered in an environment that was deleted while it was decided."""
    theirs: list[Outcome] = []
    meanwhile = on_another_replica(database, DeleteEnvironment(request(), STAGING), into=theirs)

    (outcome,) = await submit(storage, register("r", environment_id=STAGING), meanwhile=meanwhile)

    assert isinstance(theirs[0], Done)
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.refusal, NotFound)
    assert (await storage.rows(AgentDeployment, ACCOUNT, Listing())).total == 0


async def _rows(storage: PostgresStorage, sql: str) -> list[tuple[object, ...]]:
    records = await storage.reads.run(lambda connection: connection.fetch(sql))
    return [tuple(record) for record in records]
