"""Calls of every operation of a document, with ids of the caller's own and of others in any place.

A call contains placeholders for ids: ``<theirs:kind:number>`` for one that the caller should not
know, ``<mine:kind:number>`` for one of its own. Each caller fills in its own, so that several can
make the same calls.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from described_api import Choose, Described
from hypothesis import strategies as st
from served_api import Answered
from tenant import TIME, Tenant, address

# Operations that would remove the credentials of the call.
_OWN_ACCESS = ("api_token_id", "session_id", "admin_user_id")
_ENDS_ACCESS = ("sessions.end",)

Ids = Mapping[str, Sequence[str]]
"""Ids by their kind, which is the name of the fields and parameters that hold one."""


@dataclass(frozen=True)
class Call:
    """One call, by the kind of token that makes it; without a key unless it has one."""

    operation: Described
    token: str
    path_id: str = ""
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    key: str | None = None
    as_item: bool = False

    def item(self, key: str) -> dict[str, Any]:
        """Return the call as an item of a bulk request, with a key if it has none."""
        body = self.body if isinstance(self.body, dict) else {}
        mark = {"_type": self.operation.item_type, "idempotency_key": self.key or key}
        path = {self.operation.path_parameter: self.path_id} if self.path_id else {}
        return {**body, **self.query, **path, **mark}


class Places:
    """Values to put into calls of operations."""

    def __init__(self, operations: Sequence[Described], theirs: Ids, mine: Ids) -> None:
        self.operations = operations
        self._ids = {"theirs": theirs, "mine": mine}
        self._kinds = {one.noun: one.path_parameter for one in operations if one.path_parameter}

    def kind(self, name: str, operation: Described) -> str:
        """Return what kind of object a field names: ``id`` is the operation's own."""
        if name == "id":
            return self._kinds.get(operation.noun) or ""
        return name.removesuffix("s") if name.endswith("_ids") else name

    def refs(self, whose: str, kind: str | None = None) -> list[str]:
        """Return the placeholders for the ids of one kind, or of all kinds."""
        ids = self._ids[whose]
        kinds = list(ids) if kind is None else [kind] if kind in ids else []
        # A caller that revoked its own token could make no more calls.
        kinds = [one for one in kinds if whose == "theirs" or one not in _OWN_ACCESS]
        return [f"<{whose}:{one}:{number}>" for one in kinds for number in range(len(ids[one]))]

    def every_call(self, operation: Described, callers: Sequence[Sequence[str]]) -> Iterator[Call]:
        """Return calls with others' ids in the path, in each parameter and in each field.

        Each call is made by one of each group of ``callers``, who take turns.
        """
        calls = [*self._by_path(operation), *self._by_parameter(operation)]
        if operation.body:
            calls += self._by_field(operation)
        for group in callers:
            for start, as_item in enumerate((False, True)):
                for number, call in enumerate(calls, start):
                    token = group[number % len(group)]
                    yield replace(call, token=token, as_item=as_item)

    def _by_path(self, operation: Described) -> Iterator[Call]:
        if operation.path_parameter:
            body = operation.make(self._own, lambda _: False) if operation.body else None
            for theirs in self.refs("theirs"):
                yield Call(operation, "", path_id=theirs, body=body)

    def _by_parameter(self, operation: Described) -> Iterator[Call]:
        mine = (self.refs("mine", operation.path_parameter) or [""])[0]
        for name in operation.query:
            kind = self.kind(name, operation)
            for theirs in self.refs("theirs", kind) or ["<their mark>"]:
                yield Call(operation, "", path_id=mine, query={name: theirs})

    def _by_field(self, operation: Described) -> Iterator[Call]:
        mine = (self.refs("mine", operation.path_parameter) or [""])[0]
        for way in operation.fields():
            for theirs in self.refs("theirs", self.kind(way[-1], operation)):
                body = operation.make(self._own, way.__contains__)
                _put(body, way, theirs)
                yield Call(operation, "", path_id=mine, body=body)

    def _own(self, name: str, schema: Mapping[str, Any]) -> Any:
        """A value for a field, of the caller's own."""
        if "enum" in schema:
            return schema["enum"][0]
        mine = self.refs("mine", name)
        if mine or schema.get("type") != "string":
            return mine[-1] if mine else {}
        return TIME if name.endswith(("_at", "_time")) else "<mark> text"


def any_call(
    places: Places, tokens: Sequence[str], keys: Sequence[str], texts: Sequence[str] = ("<mark>",)
) -> st.SearchStrategy[Call]:
    """Any call with any of the ids in any place.

    What is new has no id of another kind, and no key is an id: a later call would find by it what
    an earlier one of the same caller made.
    """
    operations = [one for one in places.operations if one.name not in _ENDS_ACCESS]
    every = st.sampled_from([*places.refs("theirs"), *places.refs("mine"), *texts])

    def chooser(draw: st.DrawFn, operation: Described) -> Choose:
        def choose(name: str, schema: Mapping[str, Any]) -> Any:
            kind = places.kind(name, operation)
            fitting = [*places.refs("theirs", kind), *places.refs("mine", kind)]
            if "enum" in schema:
                return draw(st.sampled_from(schema["enum"]))
            if fitting and draw(st.booleans()):
                return draw(st.sampled_from(fitting))
            if schema.get("type") != "string":
                return draw(st.sampled_from([{}, {"text": "<mark>"}]))
            if name.endswith(("_at", "_time")):
                return TIME
            return draw(st.sampled_from(texts) if name in ("id", "idempotency_key") else every)

        return choose

    @st.composite
    def call(draw: st.DrawFn) -> Call:
        operation = draw(st.sampled_from(operations))
        choose = chooser(draw, operation)
        path = operation.path_parameter
        path_id = choose(path, {"type": "string"}) if path else ""
        names = draw(st.sets(st.sampled_from(sorted(operation.query) or [""]), max_size=2))
        wanted = draw(
            st.sets(st.sampled_from(sorted({way[-1] for way in operation.fields()}) or [""]))
        )
        return Call(
            operation,
            draw(st.sampled_from(tokens)),
            path_id,
            {
                name: str(choose(name, {"type": "string"}))
                for name in (names | operation.required_query) - {""}
            },
            operation.make(choose, wanted.__contains__) if operation.body else None,
            draw(st.sampled_from([None, *keys])),
            draw(st.booleans()),
        )

    return call()


async def attempt(
    caller: Tenant, call: Call, key: str, theirs: Ids, marks: Mapping[str, str]
) -> Answered:
    """Make a call for a caller; ``key`` is for an item without one.

    ``theirs`` are the ids of others; ``marks`` is what other texts in brackets stand for.
    """

    def written(value: Any) -> Any:
        return _filled_in(value, theirs, caller.ids, {"mark": caller.mark, **marks})

    token = caller.tokens[call.token]
    if call.as_item:
        body = written({"items": [call.item(key)]})
        return await caller.api.call(token, "POST", "/api/v1/bulk", body)
    target = address(call.operation, *written([call.path_id, call.query]))
    body = None if call.body is None else written(call.body)
    return await caller.api.call(token, call.operation.method, target, body, written(call.key))


def _filled_in(value: Any, theirs: Ids, mine: Ids, marks: Mapping[str, str]) -> Any:
    text = json.dumps(value)
    for whose, known in (("theirs", theirs), ("mine", mine)):
        for kind, ids in known.items():
            for number, one in enumerate(ids):
                text = text.replace(f"<{whose}:{kind}:{number}>", one)
    for stands, mark in marks.items():
        text = text.replace(f"<{stands}>", mark)
    return json.loads(text)


def changed(ids: Ids, change: Callable[[str], str]) -> dict[str, list[str]]:
    """Other ids in place of each."""
    return {kind: [change(one) for one in known] for kind, known in ids.items()}


def _put(body: Any, way: tuple[str, ...], value: str) -> None:
    for name in way[:-1]:
        body = body.setdefault(name, {})
        if not isinstance(body, dict):
            return
    body[way[-1]] = value
