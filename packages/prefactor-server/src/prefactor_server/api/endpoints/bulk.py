"""Bulk: many operations in one request, executed in order up to the first that fails.

The writes between two reads are submitted to the writer together. A malformed request is rejected
as a whole. Otherwise the answer is 200 with the outcome of every executed item, by its key. The key
is also the item's idempotency key: a repeated request replays the executed items, and continues
after them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping, Sequence
from typing import Any, Final, Literal, cast

import msgspec

from prefactor_server.api.asgi.download import Download
from prefactor_server.api.kernel.decode import (
    MAX_UNPAUSED_BYTES,
    Envelope,
    check_depth,
    read_envelope,
    read_members,
    read_object,
)
from prefactor_server.api.kernel.errors import NotImplementedHere, error_body, nest_errors
from prefactor_server.api.kernel.operation import (
    Call,
    Example,
    Operation,
    PureOperation,
    RawOperation,
    Read,
    Write,
)
from prefactor_server.api.kernel.query import read_item_query
from prefactor_server.api.kernel.reads import BulkReads, in_turn
from prefactor_server.api.kernel.writes import Answer, LateReply, Reply, WriteJob, execute
from prefactor_server.api.views.minimal import minimal as minimal_answer
from prefactor_server.domain.errors import (
    REQUIRED,
    FieldError,
    FieldErrors,
    Limit,
    Overloaded,
    Refusal,
    TooLarge,
    Unavailable,
    ValidationFailed,
    invalid,
    required,
)
from prefactor_server.domain.ids import MAX_KEY_LENGTH, MIN_BULK_KEY_LENGTH, is_key

MAX_ITEMS: Final = 1000

_KEY_RULE: Final = f"must be {MIN_BULK_KEY_LENGTH} to {MAX_KEY_LENGTH} characters"
_PREFERENCE_APPLIED: Final = (b"preference-applied", b"return=minimal")
_PIECE_BYTES: Final = 64 * 1024
_encoder: Final = msgspec.json.Encoder()
_items_decoder: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ENVELOPE: Final = ("_type", "idempotency_key", "details")


class BulkItemFields(msgspec.Struct, kw_only=True):
    """One item. It also has the operation's fields, either here or under ``details``."""

    item_type: str = msgspec.field(name="_type")
    idempotency_key: str
    details: dict[str, Any] | None = None


class BulkFields(msgspec.Struct, kw_only=True):
    """A bulk request."""

    items: list[BulkItemFields]


class BulkView(msgspec.Struct, frozen=True, kw_only=True):
    """The outcomes, by key. Each is what the operation would return on its own."""

    status: Literal["success"] = "success"
    outputs: Mapping[str, Any]


class _Item(msgspec.Struct, frozen=True):
    """One item: its key, its operation, its own call, and its decoded and undecoded parts."""

    key: str
    operation: Operation | None
    call: Call
    envelope: Envelope
    document: bytes


class Bulk:
    """Executes bulk requests over a set of operations."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = {operation.item_type: operation for operation in operations}

    async def answer(self, call: Call, document: bytes) -> Download:
        """Execute a bulk request, and return its outcomes, a ``BulkView`` as JSON.

        Raises:
            Refusal: it is malformed, or could not be started. No item was executed.
        """
        items = await self._items(call, document)
        outputs: deque[tuple[str, Answer]] = deque()
        reads = BulkReads()
        while len(outputs) < len(items):
            batch = _batch(items, len(outputs))
            await call.work.pause()
            answers = await self._run(batch, len(document), reads)
            last = answers[-1]
            if not outputs and isinstance(answers[0], Overloaded | Unavailable):
                raise answers[0]
            outputs.extend((item.key, answer) for item, answer in zip(batch, answers, strict=False))
            if isinstance(last, Refusal):
                break
        if call.prefers_minimal:
            call.response_headers = (*call.response_headers, _PREFERENCE_APPLIED)
        return Download(b"application/json", _pieces(outputs, minimal=call.prefers_minimal))

    async def _items(self, call: Call, document: bytes) -> list[_Item]:
        errors: dict[str, FieldErrors | FieldError] = {}
        items: list[_Item] = []
        keys: set[str] = set()
        for index, raw in enumerate(_read_items(document)):
            if call.work.is_due():
                await call.work.pause()
            item = bytes(raw)
            checked = _checked_envelope(item, keys)
            if isinstance(checked, Envelope):
                keys.add(checked.idempotency_key)
                items.append(self._item(call, checked, item))
            else:
                errors[str(index)] = checked
        if errors:
            raise ValidationFailed({"items": errors})
        return items

    def _item(self, call: Call, envelope: Envelope, document: bytes) -> _Item:
        key: str = envelope.idempotency_key
        operation = self._operations.get(envelope.item_type)
        return _Item(key, operation, call.for_item(key), envelope, document)

    async def _run(self, batch: Sequence[_Item], size: int, reads: BulkReads) -> list[Answer]:
        """Execute one item, or several that are all writes."""
        item = batch[0]
        operation = item.operation
        try:
            if isinstance(operation, Write):
                return await self._write(batch, size)
            if isinstance(operation, Read):
                return [Reply(await _read(operation, item, reads))]
            if isinstance(operation, PureOperation):
                return [Reply(await _compute(operation, item, reads))]
            known = ", ".join(sorted(self._operations))
            raise NotImplementedHere(f"Unknown _type; known here: {known}")
        except Refusal as refusal:
            return [refusal]

    async def _write(self, batch: Sequence[_Item], size: int) -> list[Answer]:
        jobs: list[WriteJob] = []
        refusal: Refusal | None = None
        for item in batch:
            operation = item.operation
            if not isinstance(operation, Write):
                raise TypeError(operation)
            try:
                _set_path_id(operation, item)
            except Refusal as rejected:
                refusal = rejected
                break
            jobs.append(WriteJob(operation, item.call, item.document, envelope=item.envelope))
        answers = await execute(jobs, size) if jobs else []
        if refusal is not None and not any(isinstance(one, Refusal) for one in answers):
            answers.append(refusal)
        return answers


def bulk_operation(operations: Sequence[Operation]) -> RawOperation:
    """Return the operation that executes others."""
    return RawOperation(
        name="bulk.execute",
        max_body_bytes=None,
        method="POST",
        path="/api/v1/bulk",
        right="read",
        summary="Execute many operations in one request",
        description=(
            "Executes the items in order, up to the first that fails. The response is 200 and "
            "contains the outcome of each executed item, by its key, which is also its idempotency "
            f"key. There may be at most {MAX_ITEMS} items. Types: "
            + ", ".join(f"`{one.item_type}`" for one in operations)
            + "."
        ),
        reply=BulkView,
        refusals=(ValidationFailed, TooLarge, Overloaded),
        body=BulkFields,
        takes_prefer=True,
        answer=Bulk(operations).answer,
        examples=(
            Example(
                "Register and start a run",
                {
                    "items": [
                        {
                            "_type": "agent_instances/register",
                            "idempotency_key": "register-0001",
                            "id": "run-1",
                            "agent_id": "support",
                        },
                        {
                            "_type": "agent_instances/start",
                            "idempotency_key": "start-0001",
                            "agent_instance_id": "run-1",
                        },
                    ]
                },
            ),
        ),
    )


def _batch(items: Sequence[_Item], start: int) -> Sequence[_Item]:
    """Return the next item and, if it is a write, all writes that directly follow it."""
    end = start + 1
    if isinstance(items[start].operation, Write):
        while end < len(items) and isinstance(items[end].operation, Write):
            end += 1
    return items[start:end]


def _read_items(document: bytes) -> list[msgspec.Raw]:
    members = read_members(document)
    raw = members.get("items")
    if raw is None or bytes(raw) == b"null":
        raise required("items")
    try:
        items = _items_decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise invalid("items", "must be a list") from error
    if not 0 < len(items) <= MAX_ITEMS:
        limit = Limit("items", MAX_ITEMS) if items else None
        raise invalid("items", f"must have 1 to {MAX_ITEMS} items, got {len(items)}", limit)
    return items


def _checked_envelope(item: bytes, keys: Container[str]) -> Envelope | FieldError | FieldErrors:
    """Return an item's envelope, or the errors in it, which reject the whole request."""
    if not item.lstrip().startswith(b"{"):
        return FieldError("invalid_value", "must be an object")
    envelope = read_envelope(item)
    errors: dict[str, FieldError] = {}
    if envelope.item_type is None:
        errors["_type"] = REQUIRED
    elif not isinstance(envelope.item_type, str):
        errors["_type"] = FieldError("invalid_value", "must be a string")
    key = envelope.idempotency_key
    if key is None:
        errors["idempotency_key"] = REQUIRED
    elif not isinstance(key, str) or not _is_bulk_key(key):
        errors["idempotency_key"] = FieldError("invalid_value", _KEY_RULE)
    elif key in keys:
        errors["idempotency_key"] = FieldError("invalid_value", "duplicate key")
    return errors or envelope


def _is_bulk_key(key: str) -> bool:
    return len(key) >= MIN_BULK_KEY_LENGTH and is_key(key)


def _set_path_id(operation: Operation, item: _Item) -> None:
    """Check the caller's access, and set the id that a single request has in its path."""
    operation.check_access(item.call.principal)
    name = operation.path_parameter
    if name is None:
        return
    members = read_members(item.document)
    raw = members.get(name) or members.get("id")
    path_id = None if raw is None else msgspec.json.decode(raw)
    if path_id is None:
        raise required(name)
    if not isinstance(path_id, str):
        raise invalid(name, "must be a string")
    operation.check_id(path_id)
    item.call.path_id = path_id


async def _read(operation: Read, item: _Item, reads: BulkReads) -> msgspec.Raw:
    _check_small(item.document)
    check_depth(item.document)
    _set_path_id(operation, item)
    fields = read_object(item.document)
    details = fields.get("details")
    if isinstance(details, dict):
        fields |= cast("dict[str, Any]", details)
    envelope = {*_ENVELOPE, operation.path_parameter}
    if operation.path_parameter is not None:
        envelope.add("id")
    parameters = {name: value for name, value in fields.items() if name not in envelope}
    item.call.query = read_item_query(parameters, operation.parameters, item.call.principal)
    return await _counted(operation, item, reads, lambda: operation.answer(item.call))


async def _counted(
    operation: Read | PureOperation,
    item: _Item,
    reads: BulkReads,
    answer: Callable[[], Awaitable[object]],
) -> msgspec.Raw:
    """Return the answer of a read as JSON, which takes less memory than its objects."""
    call = item.call
    reads.begin(operation, call)
    held = call.memory.size
    encoded = _encoder.encode(await in_turn(operation, call, answer))
    call.memory.shrink(held)
    call.memory.take(len(encoded))
    reads.end(encoded)
    return msgspec.Raw(encoded)


def _check_small(document: bytes) -> None:
    """Reject a large item of an operation that stores nothing."""
    if len(document) > MAX_UNPAUSED_BYTES:
        raise TooLarge(
            f"An item that changes nothing may have at most {MAX_UNPAUSED_BYTES} bytes, "
            f"got {len(document)}",
            Limit("request_bytes", MAX_UNPAUSED_BYTES),
        )


async def _compute(operation: PureOperation, item: _Item, reads: BulkReads) -> msgspec.Raw:
    operation.check_access(item.call.principal)
    _check_small(item.document)
    details = bytes(read_envelope(item.document).details).lstrip()
    is_nested = details.startswith(b"{")
    document = details if is_nested else item.document
    try:
        return await _counted(operation, item, reads, lambda: operation.answer(item.call, document))
    except Refusal as refusal:
        raise (nest_errors("details", refusal) if is_nested else refusal) from None


async def _pieces(outputs: deque[tuple[str, Answer]], *, minimal: bool) -> AsyncIterator[bytes]:
    """Yield the answer, and remove each outcome once it is encoded.

    The writes are committed, so a client that receives only a part repeats the request, which
    replays them.
    """
    parts = [b'{"status":"success","outputs":{']
    size = 0
    while outputs:
        key, answer = outputs.popleft()
        encoded = await _encoded(answer, minimal=minimal)
        parts += (_encoder.encode(key), b":", encoded, b"," if outputs else b"")
        size += len(encoded)
        if size > _PIECE_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
            await asyncio.sleep(0)
    yield b"".join((*parts, b"}}"))


async def _encoded(answer: Answer, *, minimal: bool) -> bytes:
    if isinstance(answer, LateReply):
        answer = await answer.read()
    if isinstance(answer, Refusal):
        return _encoder.encode(error_body(answer))
    return _encoder.encode(minimal_answer(answer.body) if minimal else answer.body)
