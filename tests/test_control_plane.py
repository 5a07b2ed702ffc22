"""Setting up agents over the API, with the client and as the Prefactor CLI does."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from live_server import LiveServer
from prefactor_http import (
    HttpClientConfig,
    PrefactorAuthError,
    PrefactorConflictError,
    PrefactorHttpClient,
    PrefactorNotFoundError,
    PrefactorValidationError,
)

SPAN_TYPES = [{"name": "llm", "params_schema": {"type": "object"}, "template": "{{ model }}"}]


@pytest_asyncio.fixture
async def client(live_server: LiveServer) -> AsyncIterator[PrefactorHttpClient]:
    """A client with an account token."""
    async with PrefactorHttpClient(HttpClientConfig(live_server.url, live_server.token)) as opened:
        yield opened


def with_token(server: LiveServer, token: str | None) -> PrefactorHttpClient:
    """A client of the same server with another token."""
    assert token is not None
    return PrefactorHttpClient(HttpClientConfig(server.url, token, max_retries=0))


def rows(reply: dict[str, Any]) -> list[Any]:
    """Return a list's rows as the CLI finds them: under `details`, if that exists."""
    found = reply.get("details", reply.get("summaries"))
    assert isinstance(found, list)
    return found


async def setup_like_the_cli(client: PrefactorHttpClient, agent_id: str) -> dict[str, str]:
    """Send the requests of `prefactor setup <agent_id>` and return what it prints."""

    async def get(path: str, **params: str) -> dict[str, Any]:
        return await client.request("GET", f"/api/v1/{path}", params=params)

    async def post(path: str, details: dict[str, Any]) -> dict[str, Any]:
        return await client.request("POST", f"/api/v1/{path}", json_data={"details": details})

    agent = (await get(f"agent/{agent_id}"))["details"]
    deployments = rows(await get("agent_deployment", agent_id=agent["id"]))
    if deployments:
        deployment = deployments[0]
    else:
        account = rows(await get("account"))[0]
        environment = rows(await get("environment", account_id=account["id"]))[0]
        place = {"agent_id": agent["id"], "environment_id": environment["id"]}
        deployment = (await post("agent_deployment", place))["details"]
    token = await post(
        "api_token",
        {
            "token_scope": "agent_deployment",
            "agent_id": deployment["agent_id"],
            "environment_id": deployment["environment_id"],
        },
    )
    return {"PREFACTOR_API_TOKEN": token["token"], "PREFACTOR_AGENT_ID": agent["id"]}


async def test_the_setup_of_the_prefactor_cli_ends_in_a_token_that_records(
    live_server: LiveServer, client: PrefactorHttpClient
) -> None:
    """The output of `setup` lets an agent register, and a second setup finds its deployment."""
    agent = await client.agents.create({"name": "Set up by the CLI"})
    first = await setup_like_the_cli(client, agent.id)
    second = await setup_like_the_cli(client, agent.id)

    assert first["PREFACTOR_AGENT_ID"] == second["PREFACTOR_AGENT_ID"] == agent.id
    assert first["PREFACTOR_API_TOKEN"] != second["PREFACTOR_API_TOKEN"]
    (deployment,) = (await client.agent_deployments.list(agent.id)).summaries
    for printed in (first, second):
        async with with_token(live_server, printed["PREFACTOR_API_TOKEN"]) as recorder:
            run = await recorder.agent_instances.register(printed["PREFACTOR_AGENT_ID"])
        assert run.agent_deployment_id == deployment.id


async def test_an_account_is_shown_and_renamed(client: PrefactorHttpClient) -> None:
    """The client's account methods reach the token's one account."""
    (account,) = [one async for one in client.accounts.iterate()]
    renamed = await client.accounts.update(account.id, name="Renamed by a journey")

    assert (await client.accounts.get(account.id)).name == renamed.name == "Renamed by a journey"
    with pytest.raises(PrefactorNotFoundError):
        await client.accounts.get("another")


async def test_an_environment_in_use_cannot_be_deleted(client: PrefactorHttpClient) -> None:
    """An environment can be deleted only after its deployment."""
    environment = await client.environments.create(name="Short-lived")
    environment = await client.environments.update(environment.id, name="Staging")
    agent = await client.agents.create({"name": "Deployed"})
    deployment = await client.agent_deployments.create(
        agent_id=agent.id, environment_id=environment.id
    )

    assert environment in (await client.environments.list(page_size=100)).summaries
    assert (await client.agent_deployments.get(deployment.id)) == deployment
    with pytest.raises(PrefactorConflictError, match="deployed"):
        await client.environments.delete(environment.id)
    assert await client.agent_deployments.delete(deployment.id) == deployment
    assert await client.environments.delete(environment.id) == environment
    with pytest.raises(PrefactorNotFoundError):
        await client.environments.get(environment.id)


async def test_a_run_gets_the_pinned_version(client: PrefactorHttpClient) -> None:
    """A bare registration gets the version that was created and pinned before."""
    agent = await client.agents.create({"name": "Prepared"})
    environment = (await client.environments.list()).summaries[0]
    schema = await client.agent_schema_versions.create(
        agent_id=agent.id, external_identifier="s1", span_type_schemas=SPAN_TYPES
    )
    version = await client.agent_versions.create(
        agent_id=agent.id,
        external_identifier="v1",
        name="Prepared well",
        runtime_environment={"os": "linux"},
    )
    deployment = await client.agent_deployments.create(
        agent_id=agent.id, environment_id=environment.id, current_version_id=version.id
    )
    run = await client.agent_instances.register(agent.id)

    assert version.agent_schema_version_id == schema.id
    assert run.agent_version_id == version.id
    assert run.agent_schema_version_id == schema.id
    shown = await client.agent_schema_versions.get(schema.id)
    assert shown.span_type_schemas is not None
    assert shown.span_type_schemas["llm"]["params_schema_validation"]["status"] == "success"
    assert shown.current_agent_deployment_refs == [deployment.id]
    (listed,) = (await client.agent_schema_versions.list(agent.id)).summaries
    assert listed.span_schemas_count == 1
    (row,) = [one async for one in client.agent_versions.iterate(agent.id)]
    assert row.runtime_environment == {"os": "linux"}
    assert (await client.agents.get(agent.id)).name == "Prepared well"
    cleared = await client.agent_deployments.update(deployment.id, current_version_id=None)
    assert cleared.current_version_id is None


async def test_a_token_works_until_it_is_stopped(
    live_server: LiveServer, client: PrefactorHttpClient
) -> None:
    """A token made by the client works and stops at once, and its secret is returned once."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    created = await client.api_tokens.create(token_scope="account", expires_at=tomorrow)

    assert created.expires_at == tomorrow
    async with with_token(live_server, created.token) as other:
        await other.validate_token()
        suspended = await client.api_tokens.suspend(created.id)
        assert (suspended.status, "token" in suspended.model_dump()) == ("suspended", False)
        with pytest.raises(PrefactorAuthError, match="suspended"):
            await other.agents.list()
        await client.api_tokens.activate(created.id)
        await other.agents.list()
        with pytest.raises(PrefactorConflictError):
            await client.api_tokens.delete(created.id)
        await client.api_tokens.revoke(created.id)
        with pytest.raises(PrefactorAuthError, match="revoked"):
            await other.agents.list()
    deleted = await client.api_tokens.delete(created.id)
    assert deleted is not None
    assert created.id not in [one.id async for one in client.api_tokens.iterate()]


async def test_missing_fields_are_named(client: PrefactorHttpClient) -> None:
    """A deployment token without its agent is refused with the names of the fields."""
    with pytest.raises(PrefactorValidationError) as caught:
        await client.api_tokens.create(token_scope="agent_deployment")

    assert "environment_id" in str(caught.value.errors)


async def test_a_person_is_invited_and_signs_in(client: PrefactorHttpClient) -> None:
    """An invitation is accepted; the person signs in, changes the password and signs out."""
    email, first, second = "ada@example.com", "a long first passphrase", "another long passphrase"
    invite = await client.admin_user_invites.create(email=email, role="viewer")
    assert invite.token is not None
    told = await client.admin_user_invites.look_up(invite.token)
    await client.admin_user_invites.accept(invite.token, password=first)
    assert (told.email, told.status) == (email, "pending")

    assert (await client.sessions.methods()).password is True
    signed_in = await client.sessions.create(email=email, password=first)
    person = client.with_session(signed_in.cookie)
    assert (await person.sessions.current()).role == "viewer"
    await person.sessions.change_password(current_password=first, new_password=second)
    await person.sessions.end()
    with pytest.raises(PrefactorAuthError):
        await person.sessions.current()
    with pytest.raises(PrefactorAuthError):
        await client.sessions.create(email=email, password=first)
    again = await client.sessions.create(email=email, password=second)
    assert again.email == email
