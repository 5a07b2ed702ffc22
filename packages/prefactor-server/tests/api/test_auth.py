"""Authentication: tokens, their lifecycle, and what a deployment token can see."""

from typing import Any

import pytest
from api_client import error_code

from patience import eventually
from prefactor_server.api.operations import OPERATIONS
from prefactor_server.domain.api_token import make_token


async def test_every_operation_needs_a_token(api_client: Any) -> None:
    """Without a token every operation answers only that a token is needed."""
    api_client.token = None
    told = {}

    for operation in OPERATIONS:
        if operation.access != "public":
            path = operation.path.removeprefix("/api/v1").replace("{", "").replace("}", "")
            body = "not even JSON" if path == "/bulk" else None
            answer = await api_client.call(operation.method, path, body)
            scheme = answer.headers.get("WWW-Authenticate")
            told[operation.name] = (answer.status, error_code(answer.body), scheme)

    assert told == dict.fromkeys(told, (401, "not_authenticated", "Bearer"))


async def test_the_description_needs_no_token(api_client: Any) -> None:
    """The API's description needs no token."""
    api_client.token = None

    assert (await api_client.get("/openapi")).body["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "not_authenticated"),
        ("Bearer", "not_authenticated"),
        ("Bearer ", "not_authenticated"),
        ("Basic dXNlcjpwYXNz", "not_authenticated"),
        ("Bearer unknown", "bad_authtoken"),
        ("Bearer " + make_token("account", lambda size: b"x" * size), "bad_authtoken"),
        ("Bearer pf_account_mistyped_000000", "bad_authtoken"),
        ("Bearer ÿþ", "bad_authtoken"),
        ("Bearer a.b.c", "bad_authtoken"),
    ],
)
async def test_a_wrong_token_and_a_missing_one_have_different_errors(
    api_client: Any, header: str, code: str
) -> None:
    """An absent token and a wrong one have different codes under the same status."""
    api_client.token = None

    answer = await api_client.get("/ping", headers={"Authorization": header})

    answer.refused(401, code)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER  "])
async def test_the_scheme_is_written_in_any_case(api_client: Any, scheme: str) -> None:
    """The scheme in the Authorization header is case-insensitive, as in HTTP."""
    headers = {"Authorization": f"{scheme} {api_client.token}"}
    api_client.token = None

    assert (await api_client.get("/ping", headers=headers)).status == 200


async def test_ping_describes_the_token(api_client: Any) -> None:
    """An account token has an account; a deployment token also its agent and environment."""
    run = await api_client.register()
    token = await api_client.deployment_token(run)

    whole = (await api_client.get("/ping")).details
    part = (await api_client.get("/ping", token=token)).details

    names = ("account_id", "agent_id", "environment_id", "agent_deployment_id")
    assert whole["token_scope"] == "account"
    assert whole["agent_id"] is whole["environment_id"] is whole["agent_deployment_id"] is None
    assert part["token_scope"] == "agent_deployment"
    assert {name: part[name] for name in names} == {name: run[name] for name in names}


@pytest.mark.parametrize("status", ["suspended", "revoked"])
async def test_a_stopped_token_stops_within_seconds(api_client: Any, status: str) -> None:
    """A suspended or revoked token is refused once the cached lookup expires."""
    text, token = await api_client.add_token()
    assert (await api_client.get("/ping", token=text)).status == 200

    await api_client.put(token._replace(status=status))
    api_client.clock.leap(seconds=10)

    body = (await api_client.get("/ping", token=text)).refused(401, "bad_authtoken")
    assert body["message"] == f"Token is {status}"


async def test_a_suspended_token_works_again_at_once(api_client: Any) -> None:
    """An activated token works at once, because a failed lookup is not cached."""
    text, token = await api_client.add_token()
    await api_client.put(token._replace(status="suspended"))
    (await api_client.get("/ping", token=text)).refused(401, "bad_authtoken")

    await api_client.put(token._replace(status="active"))

    assert (await api_client.get("/ping", token=text)).status == 200


async def test_a_token_ends_when_it_expires(api_client: Any) -> None:
    """A token expires at its exact time, even if its lookup is cached."""
    text, _ = await api_client.add_token(expires_at=api_client.clock.now + 2_000_000)
    assert (await api_client.get("/ping", token=text)).status == 200

    api_client.clock.leap(seconds=3)

    body = (await api_client.get("/ping", token=text)).refused(401, "bad_authtoken")
    assert body["message"] == "Token expired"


async def test_the_last_use_is_stored_once_a_minute(api_client: Any) -> None:
    """The last use is written at most once a minute, and no request waits for it."""
    text, token = await api_client.add_token()
    account = token.account_id

    async def last_use() -> int:
        found = {one.id: one for one in await api_client.storage.tokens(account)}
        return found[token.id].last_used_at or 0

    await api_client.get("/ping", token=text)
    first = await eventually(last_use, bool)
    api_client.clock.leap(seconds=30)
    await api_client.get("/ping", token=text)
    await api_client.register()  # a write that takes as long as that of a use
    assert await last_use() == first
    api_client.clock.leap(seconds=40)
    await api_client.get("/ping", token=text)
    assert await eventually(last_use, lambda used: used > first) >= first + 70_000_000


async def test_a_deployment_token_implies_agent_and_environment(api_client: Any) -> None:
    """With a deployment token a registration may omit the agent and environment or name its own."""
    run = await api_client.register(agent_id="agent-1")
    token = await api_client.deployment_token(run)
    own = [
        {},
        {"agent_id": run["agent_id"]},
        {"agent_id": "agent-1"},
        {"environment_id": run["environment_id"]},
    ]

    for body in own:
        made = (await api_client.post("/agent_instance/register", body, token=token)).details
        assert made["agent_id"] == run["agent_id"]
        assert made["agent_deployment_id"] == run["agent_deployment_id"]


@pytest.mark.parametrize("body", [{"agent_id": "agent-2"}, {"environment_id": "elsewhere"}])
async def test_a_deployment_token_registers_only_its_own_agent(
    api_client: Any, body: dict[str, str]
) -> None:
    """Naming another agent or environment than the token's own is not permitted."""
    await api_client.register(agent_id="agent-2")
    token = await api_client.deployment_token(await api_client.register(agent_id="agent-1"))

    answer = await api_client.post("/agent_instance/register", body, token=token)

    answer.refused(403, "not_permitted")


async def test_a_deployment_token_sees_only_its_own(api_client: Any) -> None:
    """For a deployment token, other agents' data does not exist."""
    mine, other = await api_client.run(agent_id="agent-1"), await api_client.run(agent_id="agent-2")
    my_span, other_span = await api_client.span(mine), await api_client.span(other)
    token = await api_client.deployment_token(mine)
    span_of_other = {"agent_instance_id": other["id"], "schema_name": "s"}
    hidden = [
        ("GET", f"/agent/{other['agent_id']}", None),
        ("GET", "/agent/agent-2", None),
        ("GET", f"/agent_instance/{other['id']}", None),
        ("GET", f"/agent_spans/{other_span['id']}", None),
        ("POST", f"/agent_instance/{other['id']}/start", {}),
        ("POST", f"/agent_instance/{other['id']}/finish", {}),
        ("POST", f"/agent_spans/{other_span['id']}/finish", {}),
        ("POST", "/agent_spans", {"details": span_of_other}),
    ]

    for method, path, body in hidden:
        (await api_client.call(method, path, body, token=token)).refused(404, "not_found")
    for path, own in (
        ("/agent", mine["agent_id"]),
        ("/agent_instance", mine["id"]),
        ("/agent_spans", my_span["id"]),
    ):
        rows = (await api_client.get(path, token=token)).summaries
        assert [row["id"] for row in rows] == [own]
    nothing = await api_client.get("/agent_spans", {"agent_instance_id": other["id"]}, token=token)
    assert nothing.summaries == []
    assert (await api_client.get(f"/agent_instance/{mine['id']}", token=token)).details == (
        await api_client.get(f"/agent_instance/{mine['id']}")
    ).details


async def test_a_deployment_token_records_a_whole_run(api_client: Any) -> None:
    """Everything that an agent needs to record a run works with its deployment's token."""
    token = await api_client.deployment_token(await api_client.register())
    api_client.token = token

    run = await api_client.run("active")
    span = await api_client.span(run)
    ended = await api_client.post(f"/agent_spans/{span['id']}/finish")
    finished = await api_client.post(f"/agent_instance/{run['id']}/finish")

    assert (ended.details["status"], finished.details["status"]) == ("complete", "complete")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/agent", {"details": {"name": "A"}}),
        ("/agent_instance/run-1/terminate", {"reason": "enough"}),
    ],
)
async def test_administration_needs_an_account_token(api_client: Any, path: str, body: Any) -> None:
    """A valid token of the wrong scope gets an error that names the scope, alone and in bulk."""
    token = await api_client.deployment_token(await api_client.run(id="run-1"))
    kind = "agents/create" if path == "/agent" else "agent_instances/terminate"
    item = {"_type": kind, "idempotency_key": "key-0001", "id": "run-1", **body}

    alone = await api_client.post(path, body, token=token)
    bulk = await api_client.post("/bulk", {"items": [item]}, token=token)

    assert "scope account" in alone.refused(403, "not_permitted")["message"]
    assert bulk.body["outputs"]["key-0001"]["code"] == "not_permitted"
    assert (await api_client.get("/agent_instance/run-1")).details["status"] == "active"


async def test_keys_belong_to_a_deployment(api_client: Any) -> None:
    """Keys belong to a deployment: the same key and request in another creates a separate run."""
    tokens = [
        await api_client.deployment_token(await api_client.register(agent_id=agent_id))
        for agent_id in ("agent-1", "agent-2")
    ]
    body = {"idempotency_key": "register-0001"}

    first, second = [
        await api_client.post("/agent_instance/register", body, token=token) for token in tokens
    ]

    assert (first.status, second.status) == (200, 200)
    assert first.body["details"]["id"] != second.body["details"]["id"]
