"""Values that their sender marked as sensitive, and who gets to see them.

A mark is an object with a ``$sensitive`` that tells the type, a ``value`` and perhaps ``labels``;
it may stand anywhere in a payload, whether or not the write announced it. What is stored keeps
everything. Tokens of a deployment are spread over the machines that agents run on, so they read
null in place of every such value; tokens of an account read all of it.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from prefactor_server.domain.api_token import Principal

_MARK: Final = "$sensitive"
# Stored documents were written by one encoder, which escapes nothing in this word.
_MARKED: Final = b'"$sensitive"'


def visible_document(document: bytes, principal: Principal) -> bytes:
    """A JSON document as a caller may see it."""
    if principal.scope == "account" or _MARKED not in document:
        return document
    return msgspec.json.encode(_masked(msgspec.json.decode(document)))


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
