"""The calls of the Prefactor command line, command by command, spelled as it spells them.

It names the account wherever it can, sends ``{}`` when it has no fields, sends no body with a
deletion, and reads the rows of a list from ``details`` if that key exists.
``tests/test_control_plane.py`` tests how its ``setup`` command uses some of these calls.
"""

from typing import Any

import pytest

SCHEMA = {"type": "object", "properties": {"model": {"type": "string"}}}


class Cli:
    """The CLI's calls, with answers parsed as it parses them."""

    def __init__(self, api_client: Any) -> None:
        self._api_client = api_client

    async def get(self, path: str, **query: str) -> Any:
        """One thing."""
        return (await self._api_client.get(path, query)).details

    async def rows(self, path: str, **query: str) -> list[Any]:
        """A list."""
        answer = await self._api_client.get(path, query)
        found: list[Any] = answer.body.get("details", answer.summaries)
        return found

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        """Send a change and return the resulting details."""
        headers = {} if body is None else {"Content-Type": "application/json"}
        answer = await self._api_client.call(method, path, body, headers=headers)
        assert answer.status == 200, answer.text
        return answer.body["details"]

    async def create(self, path: str, **details: Any) -> Any:
        """Create something."""
        return await self.send("POST", path, {"details": details})

    async def update(self, path: str, **details: Any) -> Any:
        """Change something."""
        return await self.send("PUT", path, {"details": details})


@pytest.fixture
def cli(api_client: Any) -> Cli:
    """The program, logged in with an account token."""
    return Cli(api_client)


async def test_accounts_and_environments(api_client: Any, cli: Cli) -> None:
    """The account is shown and renamed; environments are listed, created, renamed and deleted."""
    assert (await api_client.get("/ping")).status == 200
    (account,) = await cli.rows("/account")
    path = f"/account/{account['id']}"

    assert (await cli.get(path))["id"] == account["id"]
    assert (await cli.update(path, name="Renamed"))["name"] == "Renamed"
    made = await cli.create("/environment", name="Staging", account_id=account["id"])
    listed = await cli.rows("/environment", account_id=account["id"])
    path = f"/environment/{made['id']}"
    assert [one["name"] for one in listed] == ["Default", "Staging"]
    assert (await cli.get(path))["account_id"] == account["id"]
    assert (await cli.update(path, name="Testing"))["name"] == "Testing"
    await cli.send("DELETE", path)
    assert len(await cli.rows("/environment", account_id=account["id"])) == 1


async def test_agents(api_client: Any, cli: Cli) -> None:
    """An agent is created, shown, changed in an older form, retired, reinstated and deleted."""
    made = await cli.create("/agent", name="Support", description="Answers")
    path = f"/agent/{made['id']}"
    changed = await cli.update(path, name="Sales", current_version_id=None)

    (listed,) = await cli.rows("/agent")
    assert (listed["id"], changed["name"]) == (made["id"], "Sales")
    assert (await cli.get(path))["description"] == "Answers"
    assert (await cli.send("POST", f"{path}/retire", {}))["status"] == "retired"
    assert (await cli.send("POST", f"{path}/reinstate", {}))["status"] == "pending"
    await cli.send("DELETE", path)
    (await api_client.get(path)).refused(404, "not_found")


async def test_versions_and_deployments(cli: Cli) -> None:
    """A schema version, a version that does not name it, and a deployment that pins the version."""
    agent_id = (await cli.create("/agent", name="Support"))["id"]
    environment_id = (await cli.rows("/environment"))[0]["id"]
    schema = await cli.create(
        "/agent_schema_version",
        agent_id=agent_id,
        external_identifier="schema-1",
        span_type_schemas=[{"name": "tool", "params_schema": SCHEMA, "result_template": "{{ n }}"}],
    )
    version = await cli.create(
        "/agent_version", agent_id=agent_id, external_identifier="1.0.0", name="Support"
    )
    deployment = await cli.create(
        "/agent_deployment", agent_id=agent_id, environment_id=environment_id
    )
    path = f"/agent_deployment/{deployment['id']}"
    pinned = await cli.update(path, current_version_id=version["id"])

    assert version["agent_schema_version_id"] == schema["id"]
    assert pinned["current_version_id"] == version["id"]
    for noun, made in (
        ("agent_schema_version", schema),
        ("agent_version", version),
        ("agent_deployment", deployment),
    ):
        assert [one["id"] for one in await cli.rows(f"/{noun}", agent_id=agent_id)] == [made["id"]]
        assert (await cli.get(f"/{noun}/{made['id']}"))["type"] == noun
    shown = await cli.get(f"/agent_schema_version/{schema['id']}")
    assert set(shown["span_type_schemas"]) == {"tool"}
    assert (await cli.update(path, current_version_id=None))["current_version_id"] is None
    await cli.send("DELETE", path)


async def test_runs_and_spans(api_client: Any, cli: Cli) -> None:
    """A run is registered and started, gets spans, is listed by run and time, and is finished."""
    agent_id = (await cli.create("/agent", name="Support"))["id"]
    environment_id = (await cli.rows("/environment"))[0]["id"]
    register = {
        "agent_id": agent_id,
        "environment_id": environment_id,
        "agent_version": {"external_identifier": "1.0.0", "name": "Support"},
        "agent_schema_version": {"external_identifier": "s1", "span_schemas": {"llm": SCHEMA}},
    }
    run = await cli.send("POST", "/agent_instance/register", register)
    path = f"/agent_instance/{run['id']}"
    await cli.send("POST", f"{path}/start", {"timestamp": "2026-01-01T00:00:00Z"})
    span = await cli.create(
        "/agent_spans",
        agent_instance_id=run["id"],
        schema_name="llm",
        status="active",
        payload={"model": "m"},
        started_at="2026-01-01T00:00:01Z",
    )
    finish = {"status": "complete", "result_payload": {}, "timestamp": "2026-01-01T00:00:02Z"}
    finished = await cli.send("POST", f"/agent_spans/{span['id']}/finish", finish)
    samples = {"agent_instance_id": run["id"], "count": 3, "parent_span_id": span["id"]}
    assert (await api_client.post("/agent_spans/create_test_spans", samples)).status == 200
    listed = await cli.rows(
        "/agent_spans",
        agent_instance_id=run["id"],
        start_time="2025-12-31T00:00:00Z",
        end_time="2027-01-01T00:00:00Z",
        include_summaries="true",
    )
    ended = await cli.send("POST", f"{path}/finish", {"status": "complete"})
    context = (await api_client.get(f"{path}/agent_context")).body["agent_context"]["body"]

    assert finished["finished_at"] == "2026-01-01T00:00:02.000000Z"
    assert [one["parent_span_id"] for one in listed] == [None, *[span["id"]] * 3]
    assert ended["span_counts"]["total"] == 4
    assert context
    assert [one["id"] for one in await cli.rows("/agent_instance", agent_id=agent_id)] == [
        run["id"]
    ]
    assert (await cli.get(path))["agent_version_id"] == run["agent_version_id"]
    deployment = await cli.get(f"/agent_deployment/{run['agent_deployment_id']}")
    assert deployment["current_version_id"] == run["agent_version_id"]


async def test_tokens(api_client: Any, cli: Cli) -> None:
    """A token is created with its text, suspended, activated, revoked and deleted."""
    (account,) = await cli.rows("/account")
    details = {"token_scope": "account", "account_id": account["id"], "expires_at": None}
    made = await api_client.post("/api_token", {"details": details})
    path = f"/api_token/{made.details['id']}"

    assert (await api_client.get("/ping", token=made.body["token"])).status == 200
    assert len(await cli.rows("/api_token", account_id=account["id"])) == 2
    for move, status in (("suspend", "suspended"), ("activate", "active"), ("revoke", "revoked")):
        await cli.send("POST", f"{path}/{move}", {})
        assert (await cli.get(path))["status"] == status
    await cli.send("DELETE", path)
    (await api_client.get(path)).refused(404, "not_found")


async def test_ids_and_people(api_client: Any, cli: Cli) -> None:
    """Ids are generated by number, and people are invited and invitations revoked."""
    (account,) = await cli.rows("/account")
    body = {"count": 2, "account_id": account["id"]}
    assert len((await cli.send("POST", "/pfid/generate", body))["pfids"]) == 2
    invite = await cli.create(
        "/admin_user_invite", email="someone@example.org", account_id=account["id"]
    )
    path = f"/admin_user_invite/{invite['id']}"
    (listed,) = await cli.rows("/admin_user_invite", account_id=account["id"])

    assert await cli.rows("/admin_user", account_id=account["id"]) == []
    (await api_client.get("/admin_user/nobody")).refused(404, "not_found")
    assert (listed["id"], (await cli.get(path))["email"]) == (invite["id"], "someone@example.org")
    assert (await cli.send("POST", f"{path}/revoke", {}))["status"] == "revoked"


async def test_bulk(api_client: Any) -> None:
    """Items in the common form work; the CLI's own form, which no server accepts, is refused."""
    item = {"_type": "agents/create", "idempotency_key": "agent-0001", "details": {"name": "A"}}
    outputs = (await api_client.post("/bulk", {"items": [item]})).body["outputs"]
    wrong = {"items": [{"method": "GET", "path": "/api/v1/agent", "body": {}}]}
    refused = (await api_client.post("/bulk", wrong)).refused(422, "validation_errors")

    assert outputs["agent-0001"]["details"]["name"] == "A"
    assert set(refused["errors"]["items"]["0"]) >= {"_type"}
