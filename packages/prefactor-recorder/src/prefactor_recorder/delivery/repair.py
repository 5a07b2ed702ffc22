"""Changes rejected items so that the server accepts them. Pure.

A payload that is too large is truncated to the server's limit. A registration is sent again
without the rejected members, because losing those is better than losing the run. A damaged
registration is rebuilt from the start of its run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from prefactor_otel import truncation
from prefactor_recorder.delivery.batch_size import FRAME
from prefactor_recorder.encoding.record import START_LENGTH, Operation, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prefactor_recorder.delivery.run_queue import Item

MIN_PAYLOAD = 256
"""Bytes of the smallest payload worth truncating when the server gives no limit."""
MAX_NAME = 256
"""Maximum characters of an external identifier."""
_TOO_LARGE = 413
_PAYLOADS = {
    Operation.CREATE_SPAN: b',"payload":',
    Operation.FINISH_SPAN: b',"result_payload":',
}
_RUN_LIFECYCLE = frozenset({Operation.START, Operation.FINISH})
# Without any of these it would be a different run, or in a different place.
_REQUIRED = frozenset({"id", "agent_id", "environment_id", "purpose"})
# In the order in which they are dropped when the error names no member.
_OPTIONAL = ("metadata", "agent_schema_version", "agent_version", "external_identifier")


class SizeLimits:
    """The size limits that the server has reported."""

    def __init__(self) -> None:
        """Start without limits."""
        self.payload: int | None = None
        """Maximum bytes of a payload; None if unknown."""
        self.request: int | None = None
        """Maximum bytes of a request; None if unknown."""

    def fit(self, item: Item) -> None:
        """Truncate the payloads of an item to the known limits."""
        if self.payload is not None and item.size > self.payload:
            truncate(item, self.payload)
        if self.request is not None and item.size > self.request - FRAME:
            _truncate_whole(item, self.request - FRAME)

    def reduce(self, item: Item, refusal: Mapping[str, Any]) -> bool:
        """Learn a limit from an error and shrink the item. Return whether that was possible.

        If the error names no limit, as from a proxy, the largest payload is halved.
        """
        limit, what = refusal.get("limit"), refusal.get("limit_of")
        known = isinstance(limit, int) and limit > 0
        if known and what == "payload_bytes":
            self.payload = limit
        elif known and what == "request_bytes":
            self.request = limit
        elif refusal.get("status") != _TOO_LARGE:
            return False
        before = item.size
        self.fit(item)
        if item.size == before:
            largest = max(_sizes(item), default=0)
            if largest > MIN_PAYLOAD:
                truncate(item, largest // 2)
        return item.size < before


def truncate(item: Item, limit: int) -> None:
    """Truncate each payload of an item to `limit` bytes."""
    item.replace(*(_truncated(record, limit) for record in item.records))


def _truncate_whole(item: Item, room: int) -> None:
    """Truncate the payloads of an item so that all of it fits `room` bytes, if possible."""
    sizes = _sizes(item)
    if sizes:
        room -= item.size - sum(sizes)
        # Of two payloads, one that takes less than half the room is kept whole.
        rest = max(room // 2, room - min(sizes)) if len(sizes) > 1 else room
        truncate(item, max(rest, len("{}")))


def _sizes(item: Item) -> list[int]:
    found = (_payload_start(record) for record in item.records)
    starts = zip(item.records, found, strict=True)
    return [len(record.body) - start for record, start in starts if start is not None]


def _payload_start(record: Record) -> int | None:
    """Return the offset of the payload, the last member of a body, or None without a payload."""
    member = _PAYLOADS.get(record.operation)
    # Strings before it cannot contain the member name, because their quotes are escaped.
    at = -1 if member is None else record.body.find(member)
    return None if member is None or at < 0 else at + len(member)


def _truncated(record: Record, limit: int) -> Record:
    start = _payload_start(record)
    if start is None or len(record.body) - start <= limit:
        return record
    return record._replace(
        body=record.body[:start] + truncation.truncate(record.body[start:], limit)
    )


def repaired_registration(record: Record, refusal: Mapping[str, Any]) -> Record | None:
    """Return a registration without the rejected members; None if none can be dropped."""
    if record.operation is not Operation.REGISTER:
        return None
    body = _members(record)
    errors = refusal.get("errors")
    if isinstance(errors, dict) and errors:
        changed = _without(body, cast("dict[str, Any]", errors))
    else:
        gone = next((name for name in _OPTIONAL if name in body), None)
        changed = {name: value for name, value in body.items() if name != gone}
    return None if changed == body else _registration(record, changed)


def distinct_registration(record: Record) -> Record | None:
    """Return a registration with a unique external identifier, for one that another run has.

    Return None if it has no identifier, or already has a unique one.
    """
    body = _members(record)
    identifier = body.get("external_identifier")
    own = f"~{record.run_id}"
    if not isinstance(identifier, str) or identifier.endswith(own):
        return None
    distinct = identifier[: MAX_NAME - len(own)] + own
    return _registration(record, {**body, "external_identifier": distinct})


def _without(body: Mapping[str, Any], errors: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body without the members that have errors."""
    kept = dict(body)
    for name in errors.keys() & body.keys() - _REQUIRED:
        inner, below = _object(body[name]), _object(errors[name])
        if inner and below and below.keys() <= inner.keys():
            kept[name] = {key: value for key, value in inner.items() if key not in below}
        else:
            del kept[name]
    return kept


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _members(record: Record) -> dict[str, Any]:
    try:
        return _object(orjson.loads(b"{%b}" % record.body))
    except orjson.JSONDecodeError:
        return {}


def _registration(record: Record, body: Mapping[str, Any]) -> Record:
    return record._replace(body=orjson.dumps(body)[1:-1])


def changed_members(before: Record, after: Record) -> list[str]:
    """Return the names of the members that were changed or dropped."""
    old, new = _members(before), _members(after)
    return [name for name in old if old[name] != new.get(name)]


def registered_members(record: Record, names: Iterable[str]) -> dict[str, Any]:
    """Return the named members that a registration has."""
    body = _members(record)
    return {name: body[name] for name in names if name in body}


def lost_records(records: Sequence[Record]) -> list[Record]:
    """Rebuild the damaged registration of a run from its other records.

    Only the process that registers a run records its start and finish, so either proves that it
    was registered. The start repeats the registration's members. The finish does not,
    so a registration rebuilt from it is enough only for a deployment token; the start is then
    lost too, and gets the finish's timestamp.
    """
    known = next((each for each in records if each.operation in _RUN_LIFECYCLE), None)
    if known is None:
        return []
    run = known.run_id
    members = known.body[START_LENGTH:] if known.operation is Operation.START else b""
    body = b'"id":"%b"%b,"update_current_version":false' % (run.encode(), members)
    registration = Record(Operation.REGISTER, run, run, body)
    if known.operation is Operation.START:
        return [registration]
    return [registration, Record(Operation.START, run, run, known.body[:START_LENGTH])]
