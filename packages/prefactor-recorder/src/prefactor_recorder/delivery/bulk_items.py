"""Encodes records as items of a bulk request by joining bytes, without parsing them.

A span whose create and finish are both still queued is sent as one item: the create, with the
finish's status and result, and its time as `finished_at`. The server ends up with the same span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from prefactor_recorder.encoding.record import START_LENGTH, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prefactor_recorder.encoding.record import Record

_CREATE = Operation.CREATE_SPAN
_FINISH = Operation.FINISH_SPAN
_REGISTER = Operation.REGISTER
_START = Operation.START

ITEM_OVERHEAD = 256
"""Upper bound, in bytes, on an item without its records' bodies: member names, id and key."""
ESCAPED_ID_OVERHEAD = 1024
"""The same bound for an id that may need escaping."""


def item_size(record: Record) -> int:
    """Return an upper bound on the size of a record's item in bytes, separator included."""
    return len(record.body) + (ITEM_OVERHEAD if record.id.isalnum() else ESCAPED_ID_OVERHEAD)


def encode_item(key: str, record: Record, finish: Record | None) -> bytes:
    """Encode a record as an item, merging a span's finish into its create if given.

    Each kind is formatted in a single step, so that a payload is copied only once.
    """
    operation, json_key = record.operation, orjson.dumps(key)
    if operation is _CREATE:
        if finish is None:
            return b'{"_type":"agent_spans/create","idempotency_key":%b,%b,"status":"active"}' % (
                json_key,
                record.body,
            )
        # The body of a finish starts with its timestamp.
        return b'{"_type":"agent_spans/create","idempotency_key":%b,%b,"finished_at":%b}' % (
            json_key,
            record.body,
            finish.body,
        )
    if operation is _FINISH:
        return (
            b'{"_type":"agent_spans/finish","idempotency_key":%b,"agent_span_id":%b,'
            b'"timestamp":%b}' % (json_key, orjson.dumps(record.id), record.body)
        )
    if operation is _REGISTER:
        return b'{"_type":"agent_instances/register","idempotency_key":%b,%b}' % (
            json_key,
            record.body,
        )
    return b'{"_type":"%b","idempotency_key":%b,"agent_instance_id":%b,%b}' % (
        operation.type.encode(),
        json_key,
        orjson.dumps(record.run_id),
        record.body[:START_LENGTH] if operation is _START else record.body,
    )


def encode_bulk(items: Iterable[bytes]) -> bytes:
    """Return the body of a bulk request."""
    return b'{"items":[%b]}' % b",".join(items)
