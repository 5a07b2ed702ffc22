"""Values that their sender marked as sensitive, and who gets to see them.

A mark is an object with a ``$sensitive`` that tells the type, a ``value`` and perhaps ``labels``;
it may stand anywhere in a payload, whether or not the write announced it. What is stored keeps
everything until it is discarded. Tokens of a deployment are spread over the machines that agents
run on, so they read null in place of every such value; tokens of an account read all of it.
"""

from __future__ import annotations

import json
from typing import Any, Final, cast

import msgspec

from prefactor_server.domain.api_token import Principal

_MARK: Final = "$sensitive"
# Stored documents were written by one encoder, which escapes nothing in this word.
_MARKED: Final = b'"$sensitive"'


def visible_document(document: bytes, principal: Principal, *, redacted: bool = False) -> bytes:
    """Return a JSON document as a caller may see it, or wants to."""
    if _MARKED not in document or (principal.scope == "account" and not redacted):
        return document
    return msgspec.json.encode(_masked(msgspec.json.decode(document)))


def discarded_document(document: bytes) -> bytes:
    """Return a JSON document with a marker in place of every sensitive value."""
    if _MARKED not in document:
        return document
    # The standard library keeps every number as it is, and what is stored is stored for good.
    kept = _discarded(json.loads(document))
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()


def _discarded(value: object) -> object:
    if isinstance(value, list):
        return [_discarded(entry) for entry in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, object]", value)
    if _MARK not in members:
        return {name: _discarded(member) for name, member in members.items()}
    # Whatever else stands in the wrapper may tell what the value was.
    kind, labels = members[_MARK], members.get("labels")
    marker: dict[str, object] = {_MARK: kind if isinstance(kind, str) else True, "value": None}
    if isinstance(labels, list):
        marker["labels"] = [one for one in cast("list[object]", labels) if isinstance(one, str)]
    return {**marker, "discarded": True}


def visible_value(value: Any, principal: Principal) -> Any:
    """A decoded JSON value as a caller may see it."""
    return value if principal.scope == "account" else _masked(value)


def _masked(value: object) -> object:
    if isinstance(value, list):
        return [_masked(entry) for entry in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, object]", value)
    marked = _MARK in members
    return {
        name: None if marked and name == "value" else _masked(member)
        for name, member in members.items()
    }
