"""Every operation that administers an account leaves an entry in the audit log."""

from collections import Counter
from typing import Any

from people import signed_in

from prefactor_server.api.kernel.operation import PureOperation, Write
from prefactor_server.api.operations import OPERATIONS

ADMINISTERING = [
    one
    for one in OPERATIONS
    if one.right == "administer"
    and (isinstance(one, Write) or one.method != "GET")
    # These store nothing.
    and not isinstance(one, PureOperation)
]
SCHEMA = {"external_identifier": "v1", "span_type_schemas": [{"name": "step", "params_schema": {}}]}
MARKED = {"card": {"$sensitive": "string", "value": "4929"}}


class Operator:
    """Administers an account, and notes each change and its resource."""

    def __init__(self, api_client: Any) -> None:
        self.api_client = api_client
        self.done: Counter[tuple[str, str]] = Counter()

    async def do(self, name: str, path_id: str = "", body: Any = None) -> str:
        """Carry out an operation; return the id of its resource."""
        (operation,) = [one for one in ADMINISTERING if one.name == name]
        path = operation.path.removeprefix("/api/v1")
        path = path.replace(f"{{{operation.path_parameter}}}", path_id)
        sent = {"details": body} if operation.wrapped else body or {}
        done = (await self.api_client.call(operation.method, path, sent)).details["id"]
        self.done[name, done] += 1
        return done

    async def administer(self) -> None:
        """Carry out every administrative operation once."""
        api_client, do = self.api_client, self.do
        account = (await api_client.get("/account")).summaries[0]["id"]
        await do("accounts.update", account, {"name": "Ours"})
        environment = await do("environments.create", body={"name": "Staging"})
        await do("environments.update", environment, {"name": "Canary"})
        profile = await do("risk_profiles.create", body={"name": "P"})
        await do("risk_profiles.update", profile, {"name": "Q"})
        agent = await do("agents.create", body={"name": "A"})
        await do("agents.update", agent, {"name": "B"})
        schema = await do("agent_schema_versions.create", body={"agent_id": agent, **SCHEMA})
        version = {"agent_id": agent, "agent_schema_version_id": schema}
        version = await do("agent_versions.create", body={**version, "external_identifier": "v1"})
        where = {"agent_id": agent, "environment_id": environment}
        deployment = await do("agent_deployments.create", body=where)
        await do("agent_deployments.update", deployment, {"current_version_id": version})
        await do("agent_deployments.delete", deployment)
        await do("agents.retire", agent)
        await do("agents.reinstate", agent)
        await do("risk_profiles.delete", profile)
        await do("environments.delete", environment)
        await do("agents.delete", await do("agents.create", body={"name": "C"}))
        span = await api_client.span(await api_client.run(), payload=MARKED)
        await api_client.post(f"/agent_spans/{span['id']}/finish")
        await do("agent_spans.discard_sensitive", span["id"])
        await do("retention_policies.update", body={"audit_days": 365})
        await self.let_people_in()
        await self.manage_webhooks()

    async def let_people_in(self) -> None:
        """Create and revoke tokens and invitations; change and remove a person."""
        do = self.do
        token = await do("api_tokens.create", body={"token_scope": "account"})
        for what in ("suspend", "activate", "revoke", "delete"):
            await do(f"api_tokens.{what}", token)
        invite = await do("admin_user_invites.create", body={"email": "a@example.org"})
        await do("admin_user_invites.revoke", invite)
        person = (await signed_in(self.api_client)).person_id
        await do("admin_users.update", person, {"role": "viewer"})
        await do("admin_users.delete", person)

    async def manage_webhooks(self) -> None:
        """Create, change, rotate, test and delete a webhook, and resend a delivery."""
        do = self.do
        # No receiver listens there, so every attempt fails.
        gone = {"url": "http://127.0.0.1:9/", "events": ["run.finished"]}
        webhook = await do("webhooks.create", body=gone)
        await do("webhooks.update", webhook, {"description": "pager"})
        await do("webhooks.rotate_secret", webhook, {"overlap_hours": 1})
        path = f"/webhook/{webhook}/test"
        tested = (await self.api_client.post(path)).details["id"]
        self.done["webhooks.test", webhook] += 1
        await do("webhook_deliveries.resend", tested)
        await do("webhooks.delete", webhook)


async def test_every_administering_write_leaves_an_entry(api_client: Any) -> None:
    """Each change of an account is in its log, under the operation's name and the resource's id."""
    operator = Operator(api_client)
    await operator.administer()

    assert {name for name, _ in operator.done} == {one.name for one in ADMINISTERING}
    listed = (await api_client.get("/audit", {"pagination[page_size]": "100"})).summaries
    entries = Counter((one["action"], one["resource_id"]) for one in listed)
    assert operator.done == entries - Counter({("accounts.create", listed[-1]["resource_id"]): 1})
    assert {one["actor"] for one in listed[:-1]} == {listed[0]["actor"]}


async def test_a_write_that_changes_nothing_leaves_no_entry(api_client: Any) -> None:
    """A creation that finds an existing version, and a repeat, leave no entry."""
    agent = (await api_client.post("/agent", {"details": {"name": "A"}})).details["id"]
    sent = {"details": {"agent_id": agent, **SCHEMA}}
    staging = {"details": {"name": "Staging"}, "idempotency_key": "make-staging"}
    for _ in range(2):
        await api_client.post("/agent_schema_version", sent)
        await api_client.post(
            "/agent_version", {"details": {"agent_id": agent, "external_identifier": "v1"}}
        )
        await api_client.post("/environment", staging)

    listed = (await api_client.get("/audit")).summaries
    assert Counter(one["action"] for one in listed) == Counter(
        [
            "accounts.create",
            "agents.create",
            "agent_schema_versions.create",
            "agent_versions.create",
            "environments.create",
        ]
    )
