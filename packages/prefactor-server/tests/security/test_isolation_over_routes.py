"""Two accounts with the same kinds of things: neither sees or changes anything of the other.

Over every operation of the OpenAPI document, so that a new operation is covered by being there.
Three accounts are furnished alike. The victim only watches. The intruder knows many of its ids,
and puts them wherever an id fits. The stranger does the same with ids that nobody has: whatever
the intruder is told, the stranger has to be told as well, or the answer gives away what there is.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from backends import open_storage
from described_api import Choose, Described, described
from hypothesis import given, settings
from hypothesis import strategies as st
from served_api import ServedApi
from tenant import TIME, Tenant, address, outcome

from prefactor_server.api.openapi import openapi_document
from prefactor_server.api.operations import OPERATIONS
from prefactor_server.domain.pfid import is_pfid

DESCRIBED = described(openapi_document(OPERATIONS))
NAMES = [one.name for one in DESCRIBED]
TOKENS = ("account", "agent_deployment")
# Alerts tell of what went wrong, and people come by accepting an invitation.
MAY_BE_EMPTY = ("alerts.list", "admin_users.list")


@dataclass(frozen=True)
class Call:
    """A call to be made by two accounts: ``<whose:kind:number>`` stands for an id."""

    operation: Described
    token: str = "account"
    path_id: str = ""
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    key: str | None = None
    as_item: bool = False

    def item(self) -> dict[str, Any]:
        """The same call as an item of a bulk request."""
        body = self.body if isinstance(self.body, dict) else {}
        mark = {"_type": self.operation.item_type, "idempotency_key": self.key or "key-of-item"}
        path = {self.operation.path_parameter: self.path_id} if self.path_id else {}
        return {**body, **self.query, **path, **mark}


class World:
    """The three accounts on one server."""

    def __init__(self, api: ServedApi) -> None:
        self.api = api
        self.victim = self.tenant("quokka")
        self.hidden = {
            one
            for ids in self.victim.ids.values()
            for one in ids[1::2]
            if is_pfid(one) and all(one not in others[::2] for others in self.victim.ids.values())
        }
        self.known = {
            kind: [one for one in ids if one not in self.hidden]
            for kind, ids in self.victim.ids.items()
        }
        self.before = api.do(self.victim.state())
        self.intruder, self.stranger = self.tenant("badger"), self.tenant("walrus")

    def tenant(self, mark: str) -> Tenant:
        """A new account with everything in it."""
        tenant = Tenant(self.api, DESCRIBED, mark)
        self.api.do(tenant.furnish())
        return tenant

    def refs(self, whose: str, kind: str | None = None) -> list[str]:
        """What stands for the ids of a kind, or of all kinds."""
        ids = self.known if whose == "theirs" else self.intruder.ids
        kinds = list(ids) if kind is None else [kind] if kind in ids else []
        # An account that takes away its own token can try nothing more.
        kinds = [one for one in kinds if whose == "theirs" or one != "api_token_id"]
        return [f"<{whose}:{one}:{number}>" for one in kinds for number in range(len(ids[one]))]

    def attempt(self, calls: list[Call]) -> None:
        """Let both make the calls: both are told the same, and nothing of the victim."""
        self.api.do(self._attempt(calls))

    def check_victim(self) -> None:
        """The victim reads what it read before all this."""
        assert self.api.do(self.victim.state()) == self.before

    async def _attempt(self, calls: list[Call]) -> None:
        for call in calls:
            told = []
            for caller in (self.intruder, self.stranger):
                answer = await self._make(call, caller)
                for secret in (self.victim.mark + " ", *self.victim.secrets, *self.hidden):
                    assert secret not in answer.text, (call, answer)
                assert answer.status < 500, (call, answer)
                told.append(outcome(answer))
            assert told[0] == told[1], call

    async def _make(self, call: Call, caller: Tenant) -> Any:
        token = caller.tokens[call.token]
        if call.as_item:
            body = self._written({"items": [call.item()]}, caller)
            return await self.api.call(token, "POST", "/api/v1/bulk", body)
        path_id, query = self._written([call.path_id, call.query], caller)
        target = address(call.operation, path_id, query)
        body = None if call.body is None else self._written(call.body, caller)
        return await self.api.call(token, call.operation.method, target, body, call.key)

    def _written(self, value: Any, caller: Tenant) -> Any:
        text = json.dumps(value)
        for kind, ids in self.known.items():
            for number, one in enumerate(ids):
                theirs = one if caller is self.intruder else _nobodys(one)
                text = text.replace(f"<theirs:{kind}:{number}>", theirs)
        for kind, ids in caller.ids.items():
            for number, one in enumerate(ids):
                text = text.replace(f"<mine:{kind}:{number}>", one)
        return json.loads(text.replace("<mark>", caller.mark))


def _nobodys(one: str) -> str:
    """An id of the same make that nobody has; an id that all accounts have stays what it is."""
    if one.startswith("shared-"):
        return one
    if one.startswith("quokka-"):
        return one.replace("quokka", "nobody", 1)
    return one[:-1] + ("x" if one[-1] != "x" else "y")


@pytest.fixture(scope="module")
def world(own_database_url: str) -> Iterator[World]:
    """The accounts in a database of each backend."""
    api = ServedApi(lambda: open_storage(own_database_url))
    try:
        yield World(api)
    finally:
        api.close()


def test_the_victim_has_something_of_everything(world: World) -> None:
    """What can be made was made and every list shows some of it, so there is what could leak."""
    victim = world.victim
    makers = {one.name for one in DESCRIBED if victim._makes(one)}
    shown: dict[str, int] = {}
    for target, (_, body) in world.before.items():
        path = target.partition("?")[0]
        shown[path] = shown.get(path, 0) + len(body.get("summaries", ()))
    lists = {
        one.path for one in DESCRIBED if one.name.endswith(".list") and one.name not in MAY_BE_EMPTY
    }

    assert makers <= victim.made
    assert [path for path in lists if not shown[path]] == []
    assert world.hidden
    assert victim.mark in json.dumps(list(world.before.values()))


@pytest.mark.parametrize("name", NAMES)
def test_an_id_of_another_is_an_id_of_nobody(world: World, name: str) -> None:
    """Every id of another account, wherever an id fits, is as unknown as one that nobody has."""
    operation = next(one for one in DESCRIBED if one.name == name)
    world.attempt(list(_every_call(world, operation)))
    world.check_victim()


def _every_call(world: World, operation: Described) -> Iterator[Call]:
    """The ids of the other account in the path, in each parameter, and in each field."""
    calls = [
        *_by_path(world, operation),
        *_by_parameter(world, operation),
        *_by_field(world, operation),
    ]
    for token in TOKENS:
        for as_item in (False, True):
            yield from (replace(call, token=token, as_item=as_item) for call in calls)


def _by_path(world: World, operation: Described) -> Iterator[Call]:
    if operation.path_parameter:
        body = operation.make(_own(world), lambda _: False) if operation.body else None
        for theirs in world.refs("theirs"):
            yield Call(operation, path_id=theirs, body=body)


def _by_parameter(world: World, operation: Described) -> Iterator[Call]:
    mine = (world.refs("mine", operation.path_parameter) or [""])[0]
    for name in operation.query:
        for theirs in world.refs("theirs", name) or [world.victim.mark]:
            yield Call(operation, path_id=mine, query={name: theirs})


def _by_field(world: World, operation: Described) -> Iterator[Call]:
    mine = (world.refs("mine", operation.path_parameter) or [""])[0]
    for way in operation.fields() if operation.body else ():
        for theirs in _fitting(world, way[-1], operation):
            body = operation.make(_own(world), way.__contains__)
            _put(body, way, theirs)
            yield Call(operation, path_id=mine, body=body, key="key-0001")


def _own(world: World) -> Choose:
    """Values for fields, of the account that calls."""

    def choose(field: str, schema: Mapping[str, Any]) -> Any:
        if "enum" in schema:
            return schema["enum"][0]
        mine = world.refs("mine", field)
        if mine or schema.get("type") != "string":
            return mine[-1] if mine else {}
        return TIME if field.endswith(("_at", "_time")) else "<mark> text"

    return choose


def _fitting(world: World, name: str, operation: Described) -> list[str]:
    kind = operation.path_parameter if name == "id" else name
    if name == "id" and kind is None:
        return world.refs("theirs")
    return world.refs("theirs", kind)


def _put(body: Any, way: tuple[str, ...], value: str) -> None:
    for name in way[:-1]:
        body = body.setdefault(name, {})
        if not isinstance(body, dict):
            return
    body[way[-1]] = value


@st.composite
def _calls(draw: st.DrawFn, world: World) -> Call:
    """Any call with any of the ids in any place."""
    operation = draw(st.sampled_from(DESCRIBED))
    every = st.sampled_from([*world.refs("theirs"), *world.refs("mine"), "shared-run", "<mark>"])

    def choose(name: str, schema: Any) -> Any:
        kind = operation.path_parameter if name == "id" else name
        fitting = [*world.refs("theirs", kind), *world.refs("mine", kind)]
        if "enum" in schema:
            return draw(st.sampled_from(schema["enum"]))
        if fitting and draw(st.booleans()):
            return draw(st.sampled_from(fitting))
        if schema.get("type") != "string":
            return draw(st.sampled_from([{}, {"text": "<mark>"}]))
        return TIME if name.endswith(("_at", "_time")) else draw(every)

    path_id = choose("id", {"type": "string"}) if operation.path_parameter else ""
    names = draw(st.sets(st.sampled_from(sorted(operation.query) or [""]), max_size=2))
    query = {
        name: str(choose(name, {"type": "string"}))
        for name in (names | operation.required_query) - {""}
    }
    wanted = draw(st.sets(st.sampled_from(sorted({way[-1] for way in operation.fields()}) or [""])))
    return Call(
        operation,
        draw(st.sampled_from(TOKENS)),
        path_id,
        query,
        operation.make(choose, wanted.__contains__) if operation.body else None,
        draw(st.sampled_from([None, "key-0001", "key-0007", "key-0015"])),
        draw(st.booleans()),
    )


@settings(max_examples=25)
@given(st.data())
def test_no_sequence_of_calls_reaches_another_account(world: World, data: st.DataObject) -> None:
    """Whatever an account does, one thing after the other, concerns itself alone."""
    world.intruder, world.stranger = world.tenant("badger"), world.tenant("walrus")
    world.attempt(data.draw(st.lists(_calls(world), min_size=5, max_size=20)))
    world.check_victim()
