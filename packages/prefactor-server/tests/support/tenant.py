"""An account with everything in it that the API can make, under ids that a test knows."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from described_api import Described
from served_api import Answered, ServedApi

from prefactor_server.domain.people.role import RIGHTS

TIME = "2026-01-01T00:00:00Z"
SCHEMA = {
    "external_identifier": "v1",
    "span_type_schemas": [
        {"name": "step", "params_schema": {"type": "object"}, "template": "Step {{ text }}"}
    ],
}
# The same ids in every account, as callers may choose them.
RUN, SPAN, AGENT = "shared-run", "shared-span", "shared-agent"
# Operations that create several objects, or none that stays.
_NOT_MADE = {"bulk.execute", "pfids.generate", "agent_instances.register", "agent_spans.create"}
# Operations that need a secret, and those that undo another operation.
_NOT_MADE |= {"admin_user_invites.accept", "admin_user_invites.look_up", "alerts.clear"}
_NOT_MADE |= {"sessions.create", "sessions.change_password", "sessions.start_openid"}
_NOT_MADE |= {"agent_instances.heartbeat", "agent_instances.terminate_many"}
_NOT_MADE |= {"risk_profiles.preview", "retention_policies.preview"}

_TEXTS = ("description", "external_identifier")


class Tenant:
    """One account, its tokens, and every id in it, in the order in which they became known.

    ``mark`` is in every text and in every id that only this account chose. ``scope`` is that of the
    token with which it makes its own calls.
    """

    scope = "account"

    def __init__(self, api: ServedApi, operations: Iterable[Described], mark: str) -> None:
        self.api = api
        self.operations = {one.name: one for one in operations}
        self.mark = mark
        self.ids: dict[str, list[str]] = {}
        self.secrets: set[str] = set()
        self.tokens: dict[str, str] = {}
        self.made: set[str] = set()
        self._keys = 0

    async def call(
        self, operation: Described, path_id: str = "", body: Any = None, **query: str
    ) -> Answered:
        """Call an operation with the tenant's own token, under a key that is easily guessed."""
        target = address(operation, path_id, query)
        self._keys += 1
        key = self._key(self._keys) if operation.method != "GET" else None
        return await self.api.call(self.tokens[self.scope], operation.method, target, body, key)

    def _key(self, number: int) -> str:
        return f"key-{number:04}"

    async def furnish(self) -> None:
        """Create everything: what agents record, and every object that the document can create."""
        self.tokens["account"] = await self.api.new_account(f"{self.mark} account")
        run = await self.record(RUN, SPAN, agent_id=AGENT)
        self.tokens["agent_deployment"] = await self.api.deployment_token(run)
        await self.sign_in(run["account_id"])
        mark = self.mark
        await self.record(f"{mark}-run", f"{mark}-span", agent_id=f"{mark}-agent")
        await self.learn_listed_ids()
        await self.make_everything()
        self.secrets |= set(self.tokens.values())

    async def sign_in(self, account_id: str) -> None:
        """Let a person of each role sign in, and the deployment token be exchanged."""
        for role in RIGHTS:
            email = f"{self.mark}-{role}@example.org"
            self.secrets.add(email)
            self.tokens[role] = await self.api.person(account_id, role, email)
        token = self.tokens["agent_deployment"]
        self.tokens["deployment_session"] = await self.api.session_of(token)

    async def learn_listed_ids(self) -> None:
        """Learn every id that a list shows."""
        for operation in self.operations.values():
            if operation.method == "GET" and not operation.path_parameter:
                await self._learn(operation, {})

    async def make_everything(self) -> None:
        """Create two of each object that the document describes."""
        for _ in range(2):
            for operation in self.operations.values():
                if self._makes(operation):
                    body = operation.make(self.choose, _TEXTS.__contains__)
                    await self._learn(operation, body)
        # No receiver listens there, so this leaves a failed delivery.
        test = self.operations["webhooks.test"]
        for webhook_id in self.ids["webhook_id"]:
            assert (await self.call(test, webhook_id, {})).status == 200
        await self._learn("webhook_deliveries.list", {})

    def choose(self, name: str, schema: Mapping[str, Any]) -> Any:
        """Return a value for a field: an existing id of its kind, or else this account's text."""
        if "enum" in schema:
            return schema["enum"][0]
        if name in self.ids:
            return self.ids[name][-1]
        if schema.get("format") == "date-time" or name.endswith(("_at", "_time")):
            return TIME
        if "email" in name:
            email = f"{self.mark}-{self._keys}@example.org"
            self.secrets.add(email)
            return email
        if schema.get("type") != "string":
            return {"text": f"{self.mark} text"}
        url = f"https://{self.mark}.example.org/in"
        return url if name == "url" else f"{self.mark} {name} {self._keys}"

    async def state(self) -> dict[str, tuple[int, Any]]:
        """Everything that the account can read."""
        found: dict[str, tuple[int, Any]] = {}
        for operation in self.operations.values():
            # The status of the server changes with every request.
            if operation.method == "GET" and operation.name != "server.show":
                for path_id, query in self._questions(operation):
                    answer = await self.call(operation, path_id, **query)
                    body = answer.body
                    body.pop("request_id", None)
                    # An export contains its time, which differs between reads.
                    body.get("agent_context", {}).pop("generated_at", None)
                    found[address(operation, path_id, query)] = (answer.status, body)
        return found

    def _questions(self, operation: Described) -> Iterator[tuple[str, dict[str, str]]]:
        """Reads of each object by its id, and of each list by every id that filters it."""
        query = self._query(operation)
        if operation.path_parameter:
            for path_id in self.ids.get(operation.path_parameter, ()):
                yield path_id, query
            return
        yield "", query
        for name in operation.query:
            for value in self.ids.get(name, ()):
                yield "", {**query, name: value}

    def _query(self, operation: Described) -> dict[str, str]:
        query = {one: self.choose(one, operation.query[one]) for one in operation.required_query}
        query |= {name: "true" for name in operation.query if name.startswith("include_")}
        if "pagination[page_size]" in operation.query:
            query["pagination[page_size]"] = "100"
        if "start_time" in operation.query:
            query |= {"start_time": "2025-01-01T00:00:00Z", "end_time": "2027-01-01T00:00:00Z"}
        return query

    def _makes(self, operation: Described) -> bool:
        made = operation.method == "POST" and operation.body and not operation.path_parameter
        return bool(made) and operation.name not in _NOT_MADE

    async def record(self, run_id: str, span_id: str, **fields: str) -> Any:
        """Record a run with its spans and its quality, and return it."""
        fields = {"id": run_id, **fields}
        body = {**fields, "agent_schema_version": SCHEMA}
        run = await self._learn("agent_instances.register", body)
        await self._learn("agent_instances.start", {}, run_id)
        payload = {"text": f"{self.mark} payload"}
        span = {"id": span_id, "agent_instance_id": run_id, "schema_name": "step"}
        await self._learn("agent_spans.create", {"details": {**span, "payload": payload}})
        child = {"agent_instance_id": run_id, "schema_name": "step", "parent_span_id": span_id}
        await self._learn("agent_spans.create", {"details": {**child, "payload": payload}})
        quality = {"name": "default", "payload": payload}
        await self._learn("agent_instances.record_quality", quality, run_id)
        return run

    def _concerns_it(self, kind: str, value: str) -> bool:
        """Whether an id is to be remembered."""
        del kind, value
        return True

    async def _learn(self, operation: Described | str, body: Any, path_id: str = "") -> Any:
        if isinstance(operation, str):
            operation = self.operations[operation]
        query = self._query(operation) if operation.method == "GET" else {}
        answer = await self.call(operation, path_id, body or None, **query)
        if answer.status != 200:
            return None
        self.made.add(operation.name)
        of_noun = (one for one in self.operations.values() if one.noun == operation.noun)
        kind = next((one.path_parameter for one in of_noun if one.path_parameter), None)
        self.secrets |= {
            value for name, value in _texts(answer.body) if name in {"token", "secret"}
        }
        # The other members are of another kind and have their own ids.
        for name, value in _texts([answer.body.get("details"), answer.body.get("summaries")]):
            known = kind if name == "id" else name if name.endswith("_id") else None
            if known and self._concerns_it(known, value):
                ids = self.ids.setdefault(known, [])
                ids.extend([value] if value not in ids else [])
        return answer.body.get("details")


def address(operation: Described, path_id: str, query: Mapping[str, str]) -> str:
    """The path and query of a call."""
    path = operation.path
    if operation.path_parameter:
        path = path.replace(f"{{{operation.path_parameter}}}", quote(path_id, safe=""))
    return f"{path}?{urlencode(query)}" if query else path


def outcome(answer: Answered) -> Any:
    """Return the status and code of an answer, and of its items in bulk."""
    body = json.loads(answer.text)
    items = [(one.get("status"), one.get("code")) for one in body.get("outputs", {}).values()]
    return answer.status, body.get("code"), items


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if isinstance(one, str):
                yield name, one
            else:
                yield from _texts(one)
