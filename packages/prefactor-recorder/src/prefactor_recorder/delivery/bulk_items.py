"""Records as items of a bulk request: bytes put together, nothing parsed and nothing copied twice.

A span whose beginning and end are both still here leaves as one item: its create, with the end's
status and result, and the time of the end as `finished_at`. The server holds the same then.
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

OVERHEAD = 256
"""Bytes at most of what an item is besides the bodies of its records: names, id and key."""
ODD_OVERHEAD = 1024
"""The same when the id has to be escaped."""


def item_size(record: Record) -> int:
    """Bytes of a record's item at most, with what separates it from the next."""
    return len(record.body) + (OVERHEAD if record.id.isalnum() else ODD_OVERHEAD)


def encode_item(key: str, record: Record, finish: Record | None) -> bytes:
    """A record as an item; with the record of its end if it is a create that has ended.

    One formatting for each kind: a payload is copied once here.
    """
    operation, quoted = record.operation, orjson.dumps(key)
    if operation is _CREATE:
        if finish is None:
            return b'{"_type":"agent_spans/create","idempotency_key":%b,%b,"status":"active"}' % (
                quoted,
                record.body,
            )
        # The body of a finish begins with its time.
        return b'{"_type":"agent_spans/create","idempotency_key":%b,%b,"finished_at":%b}' % (
            quoted,
            record.body,
            finish.body,
        )
    if operation is _FINISH:
        return (
            b'{"_type":"agent_spans/finish","idempotency_key":%b,"agent_span_id":%b,'
            b'"timestamp":%b}' % (quoted, orjson.dumps(record.id), record.body)
        )
    if operation is _REGISTER:
        return b'{"_type":"agent_instances/register","idempotency_key":%b,%b}' % (
            quoted,
            record.body,
        )
    return b'{"_type":"%b","idempotency_key":%b,"agent_instance_id":%b,%b}' % (
        operation.type.encode(),
        quoted,
        orjson.dumps(record.run_id),
        record.body[:START_LENGTH] if operation is _START else record.body,
    )


def encode_bulk(items: Iterable[bytes]) -> bytes:
    """The body of a bulk request."""
    return b'{"items":[%b]}' % b",".join(items)
