"""An account shared by several deployments: what each of their tokens reads, and the rest."""

from collections.abc import Iterable, Iterator
from typing import Any

from tenant import SCHEMA, Tenant

# What everything in an account has in common.
# It counts the runs of every deployment, each filter left out in turn.
_COUNTED = "agent_instance_facets"
_COMMON = ("account_id", "environment_id")


class Deployed(Tenant):
    """An agent in the account's default environment, as the token of its deployment knows it."""

    scope = "agent_deployment"

    async def furnish(self, operator: "Operator | None" = None) -> None:
        """Make everything that the token can make."""
        assert operator is not None
        run = await operator.deploy(f"{self.mark}-agent", f"{self.mark} agent")
        self.tokens[self.scope] = await self.api.deployment_token(run)
        cookie = await self.api.session_of(self.tokens[self.scope])
        self.tokens["deployment_session"] = cookie
        self.agent_id: str = run["agent_id"]
        self.environment_id: str = run["environment_id"]
        for number in range(2):
            await self.record(f"{self.mark}-run-{number}", f"{self.mark}-span-{number}")
        await self.learn_listed_ids()

    def _key(self, number: int) -> str:
        return f"{self.mark}-key-{number}"

    def owns(self, row: Any) -> bool:
        """Whether an object is this agent, or belongs to it in its own environment."""
        if row.get("type") == "agent":
            return bool(row["id"] == self.agent_id)
        place = (row.get("agent_id"), row.get("environment_id", self.environment_id))
        return place == (self.agent_id, self.environment_id)


class Operator(Tenant):
    """The holder of the account token, who adds data that belongs to no deployment above."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.deployed: tuple[Deployed, ...] = ()

    async def open(self) -> None:
        """Make the account."""
        self.tokens["account"] = await self.api.new_account(f"{self.mark} account")

    async def deploy(self, external_identifier: str, name: str) -> Any:
        """Register a run of a new agent in the default environment."""
        agent = self.operations["agents.create"]
        details = {"name": name, "external_identifier": external_identifier}
        assert (await self.call(agent, "", {"details": details})).status == 200
        register = self.operations["agent_instances.register"]
        body = {"agent_id": external_identifier, "agent_schema_version": SCHEMA}
        return (await self.call(register, "", body)).body["details"]

    async def furnish(self, *deployed: Deployed) -> None:
        """Create everything: other agents, and the same agents in another environment."""
        self.deployed = deployed
        mark = self.mark
        for one in ("first", "second"):
            await self.record(f"{mark}-run-{one}", f"{mark}-span-{one}", agent_id=f"{mark}-{one}")
        await self.learn_listed_ids()
        await self.make_everything()
        elsewhere = self.ids["environment_id"][-1]
        for one in deployed:
            run_id, span_id = f"{mark}-run-{one.mark}", f"{mark}-span-{one.mark}"
            agent_id = one.agent_id
            await self.record(run_id, span_id, agent_id=agent_id, environment_id=elsewhere)
        self.secrets |= set(self.tokens.values())

    async def rest(self) -> dict[str, Any]:
        """Everything that the account can read and that belongs to no deployment."""
        found: dict[str, Any] = {}
        for target, (status, body) in (await self.state()).items():
            rows = body.get("summaries", [body.get("details") or {}])
            kept = [
                row
                for row in rows
                if row.get("type") != _COUNTED and not any(one.owns(row) for one in self.deployed)
            ]
            found[target] = (status, kept)
        return found

    def _questions(self, operation: Any) -> Iterator[tuple[str, dict[str, str]]]:
        """Leave out shared lists of runs and spans, which would grow without end."""
        own = set(self._own_ids())
        for path_id, query in super()._questions(operation):
            if path_id or "agent_id" not in operation.query or own & set(query.values()):
                yield path_id, query

    def _own_ids(self) -> Iterable[str]:
        common = {one for kind in _COMMON for each in self.deployed for one in each.ids[kind]}
        for ids in self.ids.values():
            yield from (one for one in ids if one not in common)

    def _concerns_it(self, kind: str, value: str) -> bool:
        known = {one for each in self.deployed for one in each.ids.get(kind, ())}
        return kind in _COMMON or value not in known
