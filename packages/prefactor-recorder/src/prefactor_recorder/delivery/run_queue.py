"""What the planner moves about: items, the lanes they wait in, the batches they leave in.

lane:  ready ──next_batch──► away ──settled, returned──► ready
                              │ └──retryable failure──► blocked ──time passes──► ready
                              └──the run is asked for──► asking ──answered─────► ready
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


class Item:
    """One item of a bulk request: a record, or the create and the finish of one span."""

    __slots__ = ("absent", "entry", "finish", "key", "records", "seen", "sent", "size", "strikes")

    def __init__(self, record: Record, entry: Entry | None) -> None:
        """Make an item of one record; without an entry, of one that is in no journal."""
        self.entry = entry
        self.finish: Entry | None = None
        """The end of the span whose create `entry` is."""
        self.records = [record]
        """What is sent: the record, and that of the end. They may have been changed to be taken."""
        self.key = idempotency_key(record.operation, record.id)
        self.size = item_size(record)
        """Bytes in a request at most."""
        self.sent = False
        """Whether the server may have seen it: nothing is merged into it any more."""
        self.strikes = 0
        """How often the server failed on it although it took others."""
        self.absent = 0
        """How often the server did not know its run."""
        self.seen = -1
        """How much had been delivered when it failed last; -1 if it never did."""

    @property
    def record(self) -> Record:
        """What is sent, without the end of the span."""
        return self.records[0]

    def merge(self, finish: Entry) -> None:
        """Add the end of the span."""
        self.finish = finish
        self.records.append(finish.record)
        self.size += len(finish.record.body)

    def replace(self, *records: Record) -> None:
        """Send other bodies. Only while the item is in no lane, which counts its size."""
        self.size += sum(len(record.body) for record in records)
        self.size -= sum(len(record.body) for record in self.records)
        self.records = list(records)

    @property
    def weight(self) -> int:
        """Bytes in the journal."""
        return sum(entry.size for entry in self.entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is settled or buried with it."""
        return tuple(entry for entry in (self.entry, self.finish) if entry is not None)

    def encode(self) -> bytes:
        """The item as it goes over the wire."""
        finish = self.records[1] if len(self.records) > 1 else None
        return encode_item(self.key, self.record, finish)


class LaneState(enum.Enum):
    """Where a lane is; see the drawing above."""

    READY = enum.auto()
    AWAY = enum.auto()
    BLOCKED = enum.auto()
    ASKING = enum.auto()


class Lane:
    """The items of one run that are still to be delivered, in their order."""

    __slots__ = ("failures", "open", "queue", "run_id", "size", "state", "until", "weight")

    def __init__(self, run_id: str) -> None:
        """Begin with nothing."""
        self.run_id = run_id
        self.queue: deque[Item] = deque()
        self.open: dict[str, Item] = {}
        """Creates in the queue that nobody has seen and that lack their finish, by span."""
        self.size = 0
        """Bytes in requests, at most, of what is in the queue."""
        self.weight = 0
        """Bytes in the journal of what is in the queue."""
        self.state = LaneState.READY
        self.until = 0.0
        """When a blocked lane may try again."""
        self.failures = 0
        """Failures in a row."""

    def append(self, item: Item) -> None:
        """Add an item behind the others; a register in front of them, which all need it."""
        if item.record.operation is Operation.REGISTER:
            self.queue.appendleft(item)
        else:
            self.queue.append(item)
        self._index(item)

    def take(self) -> Item:
        """Remove the first item."""
        item = self.queue.popleft()
        self.size -= item.size
        self.weight -= item.weight
        if item.finish is None:
            self.open.pop(item.record.id, None)
        return item

    def merge(self, finish: Entry) -> bool:
        """Add the end of a span to its create, if that is still here and was never sent."""
        created = self.open.pop(finish.record.id, None)
        if created is None:
            return False
        size = created.size
        created.merge(finish)
        self.size += created.size - size
        self.weight += finish.size
        return True

    def put_back(self, items: list[Item]) -> None:
        """Put items in front again, the first of them first; a register stays before them."""
        register = self.queue.popleft() if self._begins_with_register else None
        self.queue.extendleft(reversed(items))
        if register is not None:
            self.queue.appendleft(register)
        for item in items:
            self._index(item)

    def remove(self, spans: Container[str]) -> list[Item]:
        """Remove the items of these spans."""
        removed = [item for item in self.queue if item.record.id in spans]
        if removed:
            self.queue = deque(item for item in self.queue if item.record.id not in spans)
        for item in removed:
            self.size -= item.size
            self.weight -= item.weight
            self.open.pop(item.record.id, None)
        return removed

    @property
    def _begins_with_register(self) -> bool:
        return bool(self.queue) and self.queue[0].record.operation is Operation.REGISTER

    def _index(self, item: Item) -> None:
        self.size += item.size
        self.weight += item.weight
        record = item.record
        if record.operation is Operation.CREATE_SPAN and item.finish is None and not item.sent:
            self.open[record.id] = item


class Batch(NamedTuple):
    """Items that leave together: those of one lane side by side, in the lane's order."""

    items: dict[str, Item]
    """By idempotency key, in the order of the request."""
    lanes: list[Lane]
    """The lanes that they come from; no other request has items of these."""

    def encode(self) -> bytes:
        """The body of the request."""
        return encode_bulk([item.encode() for item in self.items.values()])
