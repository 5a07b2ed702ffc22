"""A viewer sees no value that was marked as sensitive, by any operation of the OpenAPI document.

An account contains every kind of object, with marked values wherever a value can be marked:
payloads, results, quality, alerts, and payloads that break their schema. Every read is then made as
a viewer, alone and as an item of a bulk request, with every existing id.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from api_client import error_code
from backends import open_storage
from described_api import described
from served_api import ServedApi
from tenant import Tenant, address

from prefactor_server.api.kernel.openapi import openapi_document
from prefactor_server.api.operations import ITEMS, OPERATIONS

DESCRIBED = described(openapi_document(OPERATIONS))
READS = [one for one in DESCRIBED if one.method == "GET"]
ITEM_NAMES = {one.name for one in ITEMS}
SECRET = "4929-walnut-7720"
MARKED = {"$sensitive": "string", "value": SECRET, "labels": ["pii"]}
RUN, SPAN, AGENT = "sensitive-run", "sensitive-span", "sensitive-agent"
SCHEMA = {
    "external_identifier": "sensitive",
    "span_type_schemas": [
        {
            "name": "step",
            "params_schema": {
                "type": "object",
                "properties": {"card": {"type": "string", "maxLength": 3, "enum": ["no"]}},
                "additionalProperties": False,
            },
            "result_schema": {"type": "object", "properties": {"card": {"type": "integer"}}},
            "template": "paid with {{ card }} {{ card.value }}",
            "result_template": "got {{ card.value }}",
        }
    ],
    "quality_schemas": [
        {"name": "q", "schema": {"type": "object"}, "template": "judged {{ card.value }}"}
    ],
}


class World:
    """The account, and its readers."""

    def __init__(self, api: ServedApi) -> None:
        self.api = api
        self.owner = Tenant(api, DESCRIBED, "owner")
        api.do(self.owner.furnish())
        api.do(self._record())
        api.do(self.owner.learn_listed_ids())
        kinds = {"agent_instance_id": RUN, "agent_span_id": SPAN, "agent_id": AGENT}
        for kind, one in kinds.items():
            known = self.owner.ids.setdefault(kind, [])
            known.extend([one] if one not in known else [])

    async def _record(self) -> None:
        payload = {"card": MARKED, "list": [{"deep": MARKED}]}
        run = {"id": RUN, "agent_id": AGENT, "agent_schema_version": SCHEMA}
        await self.post("/agent_instance/register", **run)
        await self.post(f"/agent_instance/{RUN}/start")
        for number in range(2):
            span = {"id": SPAN} if number else {}
            span |= {"agent_instance_id": RUN, "schema_name": "step", "status": "failed"}
            span |= {"payload": payload, "result_payload": payload}
            await self.post("/agent_spans", details=span)
        await self.post(f"/agent_instance/{RUN}/record_quality", name="q", payload=payload)
        raised = {"name": "card.seen", "severity": "warning", "payload": payload}
        await self.post("/alerts/raise", agent_instance_id=RUN, **raised)

    async def post(self, path: str, **body: Any) -> None:
        """Send a write with the account's token."""
        token = self.owner.tokens["account"]
        answer = await self.api.call(token, "POST", f"/api/v1{path}", body)
        assert answer.status == 200, (path, answer)

    async def told(self, name: str, caller: str) -> str:
        """Return everything that one read returns to a caller about every object."""
        operation = self.owner.operations[name]
        token = self.owner.tokens[caller]
        told: list[str] = []
        for path_id, asked in self.owner._questions(operation):
            query = {**asked, "redacted": "false"} if "redacted" in operation.query else asked
            answer = await self.api.call(token, "GET", address(operation, path_id, query))
            told.append(answer.text)
            if name in ITEM_NAMES:
                item = {"_type": operation.item_type, "idempotency_key": "key-of-item", **query}
                item |= {operation.path_parameter: path_id} if operation.path_parameter else {}
                answer = await self.api.call(token, "POST", "/api/v1/bulk", {"items": [item]})
                told.append(answer.text)
        return "\n".join(told)


@pytest.fixture(scope="module")
def world(own_database_url: str) -> Iterator[World]:
    """The account in a database of each backend."""
    api = ServedApi(lambda: open_storage(own_database_url))
    try:
        yield World(api)
    finally:
        api.close()


@pytest.mark.parametrize("name", [one.name for one in READS])
def test_no_read_shows_a_viewer_a_marked_value(world: World, name: str) -> None:
    """No answer to a viewer holds a marked value, whatever the id and parameters."""
    assert SECRET not in world.api.do(world.told(name, "viewer"))


def test_a_leak_would_show(world: World) -> None:
    """A member and an account token read the marked values, so a leak would show."""
    showing = {"agent_spans.show", "agent_spans.list", "agent_instances.show"}
    showing |= {"agent_instances.agent_context"}
    for caller in ("member", "account"):
        shown = {name for name in showing if SECRET in world.api.do(world.told(name, caller))}
        assert shown == showing
    text = world.api.do(world.told("agent_spans.show", "viewer"))
    assert json.dumps({**MARKED, "value": None}, separators=(",", ":")) in text


def test_a_viewer_writes_nothing(world: World) -> None:
    """Every operation that changes the account is refused to a viewer, with the missing right."""
    token = world.owner.tokens["viewer"]
    refused = [one for one in OPERATIONS if one.right not in (None, "read")]
    for one in refused:
        path = one.path.replace(f"{{{one.path_parameter}}}", "an-id")
        answer = world.api.do(world.api.call(token, one.method, path, {}))
        assert (answer.status, error_code(answer.body)) == (403, "not_permitted"), one.name
        assert SECRET not in answer.text
