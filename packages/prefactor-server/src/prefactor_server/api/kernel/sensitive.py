"""Values marked as sensitive, and who may see them.

A marker is an object with ``$sensitive`` (the type), ``value`` and optional ``labels``, anywhere in
a payload. Stored payloads keep the values until they are discarded. Deployment tokens see null
instead of a value, because they are on many machines that run agents. Viewers see null, too.
Members, admins and account tokens see everything.
"""

from __future__ import annotations

import json
from typing import Any, Final, cast

import msgspec

from prefactor_server.domain.api_token import Principal

_MARK: Final = "$sensitive"
# Every stored document was written by the same encoder, which does not escape this word.
_MARKED: Final = b'"$sensitive"'


def visible_document(document: bytes, principal: Principal, *, redacted: bool = False) -> bytes:
    """Return a JSON document with sensitive values masked if the caller may not see them.

    ``redacted`` masks them for every caller.
    """
    if _MARKED not in document or (principal.sees_sensitive and not redacted):
        return document
    return msgspec.json.encode(_masked(msgspec.json.decode(document)))


def discarded_document(document: bytes) -> bytes:
    """Return a JSON document with every sensitive value discarded and its marker kept."""
    if _MARKED not in document:
        return document
    # The standard library keeps every digit of a large integer.
    discarded = _discarded(json.loads(document))
    return json.dumps(discarded, ensure_ascii=False, separators=(",", ":")).encode()


def _discarded(value: object) -> object:
    if isinstance(value, list):
        return [_discarded(entry) for entry in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, object]", value)
    if _MARK not in members:
        return {name: _discarded(member) for name, member in members.items()}
    # Other members of the marker may reveal the value.
    kind, labels = members[_MARK], members.get("labels")
    marker: dict[str, object] = {_MARK: kind if isinstance(kind, str) else True, "value": None}
    if isinstance(labels, list):
        marker["labels"] = [one for one in cast("list[object]", labels) if isinstance(one, str)]
    return {**marker, "discarded": True}


def visible_value(value: Any, principal: Principal) -> Any:
    """Return a decoded JSON value, masked for callers who may not see sensitive values."""
    return value if principal.sees_sensitive else _masked(value)


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
