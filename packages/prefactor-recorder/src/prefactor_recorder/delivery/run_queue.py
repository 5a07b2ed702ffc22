"""Items, the queue of each run, and batches.

States of a queue:

ready ──next_batch──► in flight ──apply, requeue──► ready
                       │ └──retryable failure──► blocked ──time passes──► ready
                       └──run is looked up──► looking up ──apply_lookup──► ready
"""

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from prefactor_recorder.delivery.bulk_items import encode_bulk, encode_item, item_size
from prefactor_recorder.encoding.record import Operation, idempotency_key

if TYPE_CHECKING:
    from collections.abc import Container

    from prefactor_recorder.encoding.record import Record
    from prefactor_recorder.journal.base import Entry

# Constants, because this code runs for every record and looking up an enum member is slow.
_REGISTER, _CREATE_SPAN = Operation.REGISTER, Operation.CREATE_SPAN


class Item:
    """An item of a bulk request: one record, or the create and finish of a span."""

    __slots__ = (
        "delivered_at_failure",
        "entry",
        "failures",
        "finish",
        "journal_bytes",
        "key",
        "records",
        "sent",
        "size",
        "unknown_run_count",
    )

    def __init__(self, record: Record, entry: Entry | None) -> None:
        """Create an item of one record. `entry` is None if the record is in no journal."""
        self.entry = entry
        self.finish: Entry | None = None
        """The finish of the span that `entry` creates."""
        self.journal_bytes = 0 if entry is None else entry.size
        """Bytes in the journal."""
        self.records = [record]
        """What is sent: the record and a merged finish, perhaps changed to be accepted."""
        self.key = idempotency_key(record.operation, record.id)
        self.size = item_size(record)
        """Upper bound on its bytes in a request."""
        self.sent = False
        """Whether the server may have received it, so that nothing may be merged into it."""
        self.failures = 0
        """How often the server failed on it while accepting others."""
        self.unknown_run_count = 0
        """How often the server did not know its run."""
        self.delivered_at_failure = -1
        """`Planner.delivered` at its last failure; -1 if it never failed."""

    @property
    def record(self) -> Record:
        """What is sent, without a merged finish."""
        return self.records[0]

    def merge(self, finish: Entry) -> None:
        """Merge the finish of the span."""
        self.finish = finish
        self.journal_bytes += finish.size
        self.records.append(finish.record)
        self.size += len(finish.record.body)

    def replace(self, *records: Record) -> None:
        """Replace what is sent. Only while the item is in no queue, which tracks its size."""
        self.size += sum(len(record.body) for record in records)
        self.size -= sum(len(record.body) for record in self.records)
        self.records = list(records)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries to ack or dead-letter with it."""
        return tuple(entry for entry in (self.entry, self.finish) if entry is not None)

    def encode(self) -> bytes:
        """Return the encoded item."""
        finish = self.records[1] if len(self.records) > 1 else None
        return encode_item(self.key, self.record, finish)


class QueueState(enum.Enum):
    """State of a queue; see the diagram above."""

    READY = enum.auto()
    IN_FLIGHT = enum.auto()
    BLOCKED = enum.auto()
    LOOKING_UP = enum.auto()


class RunQueue:
    """The undelivered items of one run, in order."""

    __slots__ = ("failures", "items", "journal_bytes", "open", "run_id", "size", "state", "until")

    def __init__(self, run_id: str) -> None:
        """Create an empty queue."""
        self.run_id = run_id
        self.items: deque[Item] = deque()
        self.open: dict[str, Item] = {}
        """Unsent creates without their finish, by span id."""
        self.size = 0
        """Upper bound on the bytes of the items in requests."""
        self.journal_bytes = 0
        """Bytes of the items in the journal."""
        self.state = QueueState.READY
        self.until = 0.0
        """When a blocked queue may be retried."""
        self.failures = 0
        """Consecutive failures."""

    def append(self, item: Item) -> None:
        """Append an item. A registration goes first, because all others need it."""
        if item.record.operation is _REGISTER:
            self.items.appendleft(item)
        else:
            self.items.append(item)
        self._index(item)

    def take(self) -> Item:
        """Remove and return the first item."""
        item = self.items.popleft()
        self.size -= item.size
        self.journal_bytes -= item.journal_bytes
        if item.finish is None:
            self.open.pop(item.record.id, None)
        return item

    def merge(self, finish: Entry) -> bool:
        """Merge a finish into its create, if that is queued and unsent. Return whether it was."""
        created = self.open.pop(finish.record.id, None)
        if created is None:
            return False
        size = created.size
        created.merge(finish)
        self.size += created.size - size
        self.journal_bytes += finish.size
        return True

    def put_back(self, items: list[Item]) -> None:
        """Put items back at the front, in order, but behind a registration."""
        register = self.items.popleft() if self._starts_with_register else None
        self.items.extendleft(reversed(items))
        if register is not None:
            self.items.appendleft(register)
        for item in items:
            self._index(item)

    def remove(self, spans: Container[str]) -> list[Item]:
        """Remove and return the items of these spans."""
        removed = [item for item in self.items if item.record.id in spans]
        if removed:
            self.items = deque(item for item in self.items if item.record.id not in spans)
        for item in removed:
            self.size -= item.size
            self.journal_bytes -= item.journal_bytes
            self.open.pop(item.record.id, None)
        return removed

    @property
    def _starts_with_register(self) -> bool:
        return bool(self.items) and self.items[0].record.operation is _REGISTER

    def _index(self, item: Item) -> None:
        self.size += item.size
        self.journal_bytes += item.journal_bytes
        record = item.record
        if record.operation is _CREATE_SPAN and item.finish is None and not item.sent:
            self.open[record.id] = item


class Batch(NamedTuple):
    """The items of one request. Those of a run are adjacent and in order."""

    items: dict[str, Item]
    """By idempotency key, in the order of the request."""
    queues: list[RunQueue]
    """Their queues; no other request has items of these."""

    def has_room(self, item: Item, left: int) -> bool:
        """Whether an item fits into `left` bytes and repeats no key.

        The server rejects a whole request that has a duplicate key.
        """
        return item.size <= left and item.key not in self.items

    def encode(self) -> bytes:
        """Return the body of the request."""
        return encode_bulk([item.encode() for item in self.items.values()])
