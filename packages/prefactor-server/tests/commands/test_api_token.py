"""The creation of tokens, and the time of their last use."""

import pytest
from database import SECRET, Database
from rows import ACCOUNT, ENVIRONMENT, NOW, STAGING, create_agent, fresh, register, request

from prefactor_server.commands.api_token import ChangeToken, CreateToken, DeleteToken, TouchToken
from prefactor_server.domain.api_token import ApiToken, TokenScope, hash_token, new_token
from prefactor_server.domain.errors import NotFound, ValidationFailed


def token(
    scope: TokenScope, agent_ref: str | None = None, environment_id: str | None = None
) -> CreateToken:
    """The creation of a token."""
    token_id = fresh("token")
    made = new_token(f"secret-of-{token_id}", token_id, ACCOUNT, NOW, scope=scope)
    return CreateToken(request(), made, agent_ref, environment_id, fresh("deploy"))


async def test_an_account_token_is_stored(database: Database) -> None:
    """A token is found by its hash with its account, and its creation is in the audit log."""
    made: ApiToken = await database.do(token("account"))

    found = await database.storage.token_by_hash(hash_token(f"secret-of-{made.id}"))
    assert found is not None
    assert found[0] == made
    assert found[1].id == ACCOUNT
    entries = database.rows("SELECT actor, action, resource_id, detail FROM audit_entry")
    assert ("token-of-the-caller", "api_tokens.create", made.id, "account") in entries
    assert {one.id for one in await database.storage.tokens(ACCOUNT)} == {"token-1", made.id}


async def test_no_secret_is_stored(database: Database) -> None:
    """Neither the database nor its write-ahead log holds the text of a token."""
    made = await database.do(token("account"))
    for name in ("prefactor.db", "prefactor.db-wal"):
        raw = (database.path.parent / name).read_bytes()
        assert SECRET.encode() not in raw
        assert f"secret-of-{made.id}".encode() not in raw


@pytest.mark.parametrize(("environment_id", "bound"), [(None, ENVIRONMENT), (STAGING, STAGING)])
async def test_a_deployment_token_may_create_its_deployment(
    database: Database, environment_id: str | None, bound: str
) -> None:
    """A deployment token belongs to one agent and environment, and may create the deployment."""
    await database.do(create_agent("a", "name"))
    made = await database.do(token("agent_deployment", "name", environment_id))
    again = await database.do(token("agent_deployment", "a", environment_id))
    run = await database.do(register("r", "a", environment_id=environment_id))

    assert (made.agent_id, made.environment_id) == ("a", bound)
    assert made.agent_deployment_id == again.agent_deployment_id == run.agent_deployment_id


async def test_a_deployment_token_needs_an_agent_and_an_environment(database: Database) -> None:
    """A deployment token needs an existing agent and environment."""
    await database.do(create_agent("a"))

    missing = await database.refuse(token("agent_deployment"), ValidationFailed)
    assert list(missing.errors) == ["agent_id"]
    await database.refuse(token("agent_deployment", "nobody"), NotFound)
    await database.refuse(token("agent_deployment", "a", "nowhere"), NotFound)
    await database.refuse(token("account", "a"), ValidationFailed)
    assert database.rows("SELECT count(*) FROM api_token") == [(1,)]


async def test_a_token_stores_its_last_use(database: Database) -> None:
    """Touching a token records the time and changes nothing else."""
    before = (await database.storage.tokens(ACCOUNT))[0]
    await database.do(TouchToken(request(now=NOW + 7), "token-1"))

    assert (await database.storage.tokens(ACCOUNT))[0] == before._replace(last_used_at=NOW + 7)
    await database.refuse(TouchToken(request(), "unknown"), NotFound)


async def test_actions_on_a_token_are_in_the_audit_log(database: Database) -> None:
    """Every action on a token, including deletion, is logged with its actor."""
    await database.do(ChangeToken(request(now=NOW + 1), "token-1", "suspend"))
    await database.do(ChangeToken(request(now=NOW + 2), "token-1", "revoke"))
    await database.do(DeleteToken(request(now=NOW + 3), "token-1"))

    written = "SELECT action, actor FROM audit_entry WHERE resource_id = 'token-1' ORDER BY at"
    done = ("suspend", "revoke", "delete")
    assert database.rows(written) == [
        (f"api_tokens.{verb}", "token-of-the-caller") for verb in done
    ]
