"""What is changed about a refused item so that the server takes it. Pure.

A payload that is too large is cut to what the server said it takes. A registration is sent again
without the members that were refused, because the run counts for more than what describes it. One
that the disk has damaged is made again from the start of its run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from prefactor_recorder.delivery.batch_size import FRAME
from prefactor_recorder.encoding import truncation
from prefactor_recorder.encoding.record import START_LENGTH, Operation, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prefactor_recorder.delivery.run_queue import Item

SMALLEST = 256
"""Bytes below which a payload is not to blame for the size of a request."""
MAX_NAME = 256
"""Characters of an external identifier."""
_TOO_LARGE = 413
_PAYLOADS = {
    Operation.CREATE_SPAN: b',"payload":',
    Operation.FINISH_SPAN: b',"result_payload":',
}
_OF_RUN = frozenset({Operation.START, Operation.FINISH})
# Without any of these the run would be another one, or somewhere else.
_NEEDED = frozenset({"id", "agent_id", "environment_id", "purpose"})
# In the order in which they are given up when nobody says which of them is wrong.
_OPTIONAL = ("agent_schema_version", "agent_version", "external_identifier")


class SizeLimits:
    """How much the server takes, as far as it has said so."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.payload: int | None = None
        """Bytes of a payload."""
        self.request: int | None = None
        """Bytes of a request."""

    def fit(self, item: Item) -> None:
        """Cut the payloads of an item to what is known to be taken."""
        if self.payload is not None and item.size > self.payload:
            truncate(item, self.payload)
        if self.request is not None and item.size > self.request - FRAME:
            _truncate_whole(item, self.request - FRAME)

    def reduce(self, item: Item, refusal: Mapping[str, Any]) -> bool:
        """Learn from a refusal, and make the item smaller; whether it could be.

        Where nobody says how much is taken (a proxy refused it), payloads are halved.
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
            if largest > SMALLEST:
                truncate(item, largest // 2)
        return item.size < before


def truncate(item: Item, limit: int) -> None:
    """Cut each payload of an item to so many bytes."""
    item.replace(*(_truncated(record, limit) for record in item.records))


def _truncate_whole(item: Item, room: int) -> None:
    """Cut the payloads of an item so that all of it takes so many bytes, if they have them."""
    sizes = _sizes(item)
    if sizes:
        room -= item.size - sum(sizes)
        # Of two, the smaller one is kept whole if it takes less than its half.
        rest = max(room // 2, room - min(sizes)) if len(sizes) > 1 else room
        truncate(item, max(rest, len("{}")))


def _sizes(item: Item) -> list[int]:
    found = (_payload_start(record) for record in item.records)
    starts = zip(item.records, found, strict=True)
    return [len(record.body) - start for record, start in starts if start is not None]


def _payload_start(record: Record) -> int | None:
    """Where the payload begins, which is the last member of a body."""
    member = _PAYLOADS.get(record.operation)
    # In no text in front of it can there be a quote that is not escaped.
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
    """A registration without what was refused about it; None if nothing can be left out."""
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
    """A registration whose external identifier another run has, with one of its own.

    None if it has no identifier, or has its own already.
    """
    body = _members(record)
    identifier = body.get("external_identifier")
    own = f"~{record.run_id}"
    if not isinstance(identifier, str) or identifier.endswith(own):
        return None
    distinct = identifier[: MAX_NAME - len(own)] + own
    return _registration(record, {**body, "external_identifier": distinct})


def _without(body: Mapping[str, Any], errors: Mapping[str, Any]) -> dict[str, Any]:
    """A body without the members that have errors."""
    kept = dict(body)
    for name in errors.keys() & body.keys() - _NEEDED:
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
    """Which members of a registration were changed or left out, with what they were."""
    old, new = _members(before), _members(after)
    return [name for name in old if old[name] != new.get(name)]


def registered_members(record: Record, names: Iterable[str]) -> dict[str, Any]:
    """Those of the named members that a registration has."""
    body = _members(record)
    return {name: body[name] for name in names if name in body}


def lost_records(records: Sequence[Record]) -> list[Record]:
    """The registration of a run that the disk has damaged, made from other records of the run.

    Only the process that registers a run records its start and its end, so either says that there
    was a registration. The start repeats what was said of the run. The end says nothing of it,
    which is enough for the token of a deployment; the start is lost as well then, and is made to
    be at the same time.
    """
    known = next((each for each in records if each.operation in _OF_RUN), None)
    if known is None:
        return []
    run = known.run_id
    said = known.body[START_LENGTH:] if known.operation is Operation.START else b""
    body = b'"id":"%b"%b,"update_current_version":false' % (run.encode(), said)
    registration = Record(Operation.REGISTER, run, run, body)
    if known.operation is Operation.START:
        return [registration]
    return [registration, Record(Operation.START, run, run, known.body[:START_LENGTH])]
