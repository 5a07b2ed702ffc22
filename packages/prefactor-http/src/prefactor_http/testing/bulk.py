"""Bulk requests of the fake API: their items, and the call of each item."""

from __future__ import annotations

from typing import Any

from prefactor_http.testing.store import Call, JsonObject, field_error, invalid, is_list

_ITEM_LIMIT = 1000
_SHORTEST_KEY = 8
_LONGEST_KEY = 128


def items(body: JsonObject) -> list[JsonObject]:
    """Return the items of a bulk request, or reject the whole request."""
    given: Any = body.get("items")
    if not is_list(given) or not 0 < len(given) <= _ITEM_LIMIT:
        message = f"must be a list of 1 to {_ITEM_LIMIT} items"
        raise invalid({"items": field_error("invalid_value", message)})
    keys: list[str] = []
    for item in given:
        match item:
            case {"_type": str(), "idempotency_key": str(key)} if (
                _SHORTEST_KEY <= len(key) <= _LONGEST_KEY
            ):
                keys.append(key)
            case _:
                message = (
                    "every item needs a _type and an idempotency_key "
                    f"of {_SHORTEST_KEY} to {_LONGEST_KEY} characters"
                )
                raise invalid({"items": field_error("invalid_value", message)})
    if len(set(keys)) < len(keys):
        message = "All idempotency keys must be unique within the request"
        raise invalid({"items": field_error("invalid_value", message)})
    return given


def call(item: JsonObject) -> Call:
    """Return the call of an item, whose fields serve as id, query and body."""
    body = {name: value for name, value in item.items() if name not in ("_type", "idempotency_key")}
    # The field with the id is named after the resource: agent_spans -> agent_span_id.
    own_id = item["_type"].split("/")[0].removesuffix("s") + "_id"
    id_ = str(body.get(own_id) or body.get("id") or "")
    query = {name: str(value) for name, value in body.items()}
    return Call(id_, query, body)
