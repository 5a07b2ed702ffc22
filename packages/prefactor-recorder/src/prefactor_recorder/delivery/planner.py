"""Decides which items to send next and what to do with them afterwards. Pure.

Each run has a queue, which keeps its order, and at most one request in flight. Every entry that is
added is sent until it is delivered or dead-lettered, and is part of exactly one settlement.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from prefactor_recorder.delivery.batch_size import FRAME
from prefactor_recorder.delivery.outcomes import Disposition, Outcome
from prefactor_recorder.delivery.rejections import Rejections
from prefactor_recorder.delivery.repair import (
    SizeLimits,
    distinct_registration,
    lost_records,
    repaired_registration,
)
from prefactor_recorder.delivery.run_queue import Batch, Item, QueueState, RunQueue
from prefactor_recorder.delivery.settlement import Settlement
from prefactor_recorder.delivery.throttle import MAX_BACKOFF, backoff
from prefactor_recorder.encoding.record import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prefactor_recorder.encoding.record import Record
    from prefactor_recorder.journal.base import Entry

_REGISTER, _CREATE_SPAN = Operation.REGISTER, Operation.CREATE_SPAN
_FINISH_SPAN, _READY = Operation.FINISH_SPAN, QueueState.READY
MAX_FAILURES = 8
"""Failures of one item, while others succeed, before it is dead-lettered: about two minutes."""
MAX_UNKNOWN_RUN = 30
"""Responses that an item's run is unknown before the item is dead-lettered: about half an hour."""


class Planner:
    """Plans the requests.

    Args:
        window: Maximum bytes of records to hold. Blocked queues may add as much again, so that they
            do not hold up the others.
        random: Returns a random float from [0, 1).
    """

    def __init__(self, window: int, random: Callable[[], float]) -> None:
        """Create an empty planner."""
        self._window = window
        self._random = random
        self._held: dict[Entry, int] = {}
        self._queues: dict[str, RunQueue] = {}
        self._ready: OrderedDict[str, RunQueue] = OrderedDict()
        self._blocked: list[tuple[float, int, RunQueue]] = []
        self._blocked_bytes = 0
        self._blockings = 0
        self.limits = SizeLimits()
        """The size limits that the server has reported."""
        self.rejections = Rejections()
        """Rejected runs and spans, whose dependents are dead-lettered too."""
        self.held_bytes = 0
        """Bytes of records added and not settled."""
        self.ready_items = 0
        """Items that could be sent now."""
        self.ready_bytes = 0
        """Upper bound on their bytes in requests."""
        self.delivered = 0
        """Records delivered."""
        self.added = 0
        """Bytes of all records ever added."""

    @property
    def room(self) -> int:
        """Bytes of records that may be added; zero or negative when the window is full."""
        return self._window + min(self._blocked_bytes, self._window) - self.held_bytes

    @property
    def oldest(self) -> int | None:
        """Value of `added` when the oldest unsettled entry was added; None if there is none."""
        return next(iter(self._held.values()), None)

    @property
    def next_release(self) -> float:
        """When the first blocked queue may be retried; infinity if none is blocked."""
        return self._blocked[0][0] if self._blocked else math.inf

    @property
    def held(self) -> list[Entry]:
        """All unsettled entries, in the order they were added."""
        return list(self._held)

    def add(self, entries: Iterable[Entry]) -> Settlement:
        """Queue entries. Those of rejected runs and spans are dead-lettered at once."""
        settlement = Settlement.new()
        held, rejected = self._held, len(self.rejections) > 0
        for entry in entries:
            self.added += entry.size
            held[entry] = self.added
            self.held_bytes += entry.size
            record = entry.record
            if record.operation is _REGISTER:
                self._register(record.run_id)
            elif rejected and record.operation is _CREATE_SPAN:
                self.rejections.forget(record.id)
            refusal = self.rejections.reason_for_record(record) if rejected else None
            if refusal is None:
                self._enqueue(entry, record)
            else:
                self._dead_letter((entry,), refusal, settlement)
        return settlement

    def _register(self, run_id: str) -> None:
        """Unblock a run whose registration has arrived, because it may have failed without it."""
        self.rejections.learn(run_id)
        queue = self._queues.get(run_id)
        if queue is not None and queue.state is QueueState.BLOCKED:
            self._move(queue, QueueState.READY)

    def _enqueue(self, entry: Entry, record: Record) -> None:
        queue = self._queues.get(record.run_id)
        if queue is None:
            queue = self._queues[record.run_id] = RunQueue(record.run_id)
            self._ready[queue.run_id] = queue
        size, items = queue.size, 0
        if record.operation is not _FINISH_SPAN or not queue.merge(entry):
            queue.append(Item(record, entry))
            items = 1
        if queue.state is _READY:
            self.ready_items += items
            self.ready_bytes += queue.size - size
        elif queue.state is QueueState.BLOCKED:
            self._blocked_bytes += entry.size

    def next_batch(self, now: float, items: int, size: int) -> Batch | None:
        """Return the next request, or None if no queue is ready.

        Args:
            now: The current time.
            items: Maximum items.
            size: Maximum bytes, unless a single item is larger.
        """
        self.release(now)
        batch = Batch({}, [])
        left = size - FRAME
        while self._ready and len(batch.items) < items:
            queue = next(iter(self._ready.values()))
            if batch.items and not batch.has_room(queue.items[0], left):
                break
            self._move(queue, QueueState.IN_FLIGHT)
            batch.queues.append(queue)
            taken = batch.items
            while queue.items and len(taken) < items:
                item = queue.items[0]
                if taken and (item.size > left or item.key in taken):
                    break
                queue.take()
                item.sent = True
                self.limits.fit(item)
                left -= item.size
                taken[item.key] = item
        return batch if batch.items else None

    def release(self, now: float) -> None:
        """Make blocked queues whose wait is over ready again."""
        while self._blocked and self._blocked[0][0] <= now:
            until, _, queue = heapq.heappop(self._blocked)
            if queue.state is QueueState.BLOCKED and queue.until == until:
                self._move(queue, QueueState.READY)

    def unblock(self, *, all_queues: bool = False) -> None:
        """Unblock queues that failed while the server failed on everything.

        Args:
            all_queues: Unblock the other queues too, for a flush.
        """
        for queue in [queue for _, _, queue in self._blocked]:
            if queue.state is QueueState.BLOCKED and (all_queues or not queue.items[0].failures):
                self._move(queue, QueueState.READY)

    def requeue(self, batch: Batch, *, sent: bool) -> None:
        """Put back all items of a request that failed as a whole.

        Args:
            batch: The request.
            sent: Whether the server may have received it.
        """
        kept: dict[str, list[Item]] = {}
        for item in batch.items.values():
            item.sent = sent
            kept.setdefault(item.record.run_id, []).append(item)
        for queue in reversed(batch.queues):
            queue.put_back(kept[queue.run_id])
            self._move(queue, QueueState.READY, first=True)

    def apply(self, batch: Batch, outcomes: Iterable[Outcome], now: float) -> Settlement:
        """Apply the outcomes of a request.

        Args:
            batch: The request.
            outcomes: One for each item, in order.
            now: The current time.
        """
        settlement = Settlement.new()
        kept: dict[str, list[Item]] = {}
        taken: set[str] = set()
        for item, outcome in zip(batch.items.values(), outcomes, strict=True):
            run_id = item.record.run_id
            if outcome.disposition is Disposition.DELIVERED:
                self._deliver(item, settlement)
                taken.add(run_id)
                continue
            kept.setdefault(run_id, []).extend(
                self._apply_one(batch, item, outcome, now, settlement)
            )
        for run_id in taken:
            self.rejections.learn(run_id)
            if self._queues[run_id].state is not QueueState.BLOCKED:
                self._queues[run_id].failures = 0
        for queue in reversed(batch.queues):
            self._return(queue, kept.get(queue.run_id, []), settlement)
        return settlement

    def apply_lookup(
        self, run_id: str, refusal: dict[str, Any], now: float, *, exists: bool | None
    ) -> Settlement:
        """Apply the lookup of a run whose registration was rejected.

        Args:
            run_id: The run.
            refusal: Why the registration was rejected.
            now: The current time.
            exists: Whether the server has the run; None if the lookup failed.
        """
        settlement = Settlement.new()
        queue = self._queues[run_id]
        item = queue.take()
        queue.state = QueueState.IN_FLIGHT
        kept = [item]
        if exists is None:
            self._delay(queue, now, slowly=False)
        elif exists:
            self._deliver(item, settlement)
            kept = []
        elif not self._repair(item, distinct_registration(item.record), settlement):
            self._reject(item, Disposition.DEAD_LETTER, refusal, settlement)
            kept = []
        self._return(queue, kept, settlement)
        return settlement

    def _apply_one(
        self, batch: Batch, item: Item, outcome: Outcome, now: float, settlement: Settlement
    ) -> list[Item]:
        """Apply one outcome. Return the items still to be sent, in order."""
        queue, disposition = self._queues[item.record.run_id], outcome.disposition
        refusal = outcome.refusal or {}
        if disposition is Disposition.ALREADY_EXISTS:
            self._acknowledge(item.entry, settlement)
            return [] if item.finish is None else [Item(item.finish.record, item.finish)]
        if disposition is Disposition.LOOK_UP_RUN:
            queue.state = QueueState.LOOKING_UP
            settlement.run_lookups.append((queue.run_id, refusal))
        elif disposition in _NOT_TRIED:
            item.sent = False
        elif disposition is Disposition.UNKNOWN_RUN and (
            lost := self._lost(batch, queue, settlement)
        ):
            return [*lost, item]
        elif disposition is Disposition.DEAD_LETTER and self._shrink_or_repair(
            item, refusal, settlement
        ):
            item.sent = False
        elif self._is_retryable(queue, disposition) and not self._is_exhausted(item, disposition):
            self._delay(queue, now, slowly=disposition is Disposition.FORBIDDEN)
        else:
            self._reject(item, disposition, refusal, settlement)
            return []
        return [item]

    def _shrink_or_repair(
        self, item: Item, refusal: dict[str, Any], settlement: Settlement
    ) -> bool:
        """Change an item so that the server accepts it. Return whether that was possible."""
        if self.limits.reduce(item, refusal):
            return True
        return self._repair(item, repaired_registration(item.record, refusal), settlement)

    def _repair(self, item: Item, record: Record | None, settlement: Settlement) -> bool:
        """Replace an item's registration by `record`, if given. Return whether it was."""
        if record is None:
            return False
        settlement.repaired.append((item.record, record))
        item.replace(record)
        return True

    def _lost(self, batch: Batch, queue: RunQueue, settlement: Settlement) -> list[Item]:
        """Rebuild the lost registration of a run that this journal started."""
        if self.rejections.is_known(queue.run_id):
            return []
        items = (*batch.items.values(), *queue.items)
        lost = lost_records([one.record for one in items if one.record.run_id == queue.run_id])
        if lost:
            self.rejections.learn(queue.run_id)
            settlement.lost.append(queue.run_id)
        return [Item(record, None) for record in lost]

    def _is_retryable(self, queue: RunQueue, disposition: Disposition) -> bool:
        """Whether an item may succeed later."""
        if disposition is Disposition.UNKNOWN_RUN:
            return not self.rejections.is_known(queue.run_id)
        return disposition in {Disposition.RETRY, Disposition.FORBIDDEN}

    def _is_exhausted(self, item: Item, disposition: Disposition) -> bool:
        """Count a failure of an item. Return whether it has failed too often.

        Only failures between which something else was delivered count, because an item that fails
        while everything fails is not to blame.
        """
        if -1 < item.delivered_at_failure < self.delivered:
            item.failures += 1
        item.delivered_at_failure = self.delivered
        # A server that reports an unknown run is working, so this always counts.
        item.unknown_run_count += disposition is Disposition.UNKNOWN_RUN
        return item.failures >= MAX_FAILURES or item.unknown_run_count >= MAX_UNKNOWN_RUN

    def _delay(self, queue: RunQueue, now: float, *, slowly: bool) -> None:
        queue.failures += 1
        wait = MAX_BACKOFF if slowly else backoff(queue.failures, self._random())
        queue.until = now + wait
        queue.state = QueueState.BLOCKED

    def _deliver(self, item: Item, settlement: Settlement) -> None:
        for entry in item.entries:
            self._acknowledge(entry, settlement)

    def _acknowledge(self, entry: Entry | None, settlement: Settlement) -> None:
        if entry is None:
            return
        del self._held[entry]
        self.held_bytes -= entry.size
        self.delivered += 1
        settlement.delivered.append(entry)

    def _dead_letter(
        self, entries: Iterable[Entry], refusal: dict[str, Any], settlement: Settlement
    ) -> None:
        for entry in entries:
            del self._held[entry]
            self.held_bytes -= entry.size
            settlement.dead_lettered.append((entry, refusal))

    def _reject(
        self, item: Item, disposition: Disposition, refusal: dict[str, Any], settlement: Settlement
    ) -> None:
        """Dead-letter an item, and remember that its dependents cannot be delivered."""
        self._dead_letter(item.entries, refusal, settlement)
        unknown = disposition is Disposition.UNKNOWN_RUN
        self.rejections.add(item.record, refusal, unknown_run=unknown)

    def _return(self, queue: RunQueue, kept: list[Item], settlement: Settlement) -> None:
        """Put the remaining items back, and dead-letter those that depend on a rejected record."""
        state = QueueState.READY if queue.state is QueueState.IN_FLIGHT else queue.state
        queue.state = QueueState.IN_FLIGHT
        queue.put_back(kept)
        refusal = self.rejections.reason(queue.run_id)
        while refusal is not None and queue.items:
            self._dead_letter(queue.take().entries, refusal, settlement)
        if settlement.dead_lettered:
            for item in queue.remove(self.rejections):
                why = self.rejections.reason(item.record.id)
                self._dead_letter(item.entries, why or {}, settlement)
        self._move(queue, state if queue.items else QueueState.READY, first=bool(kept))

    def _move(self, queue: RunQueue, state: QueueState, *, first: bool = False) -> None:
        """Change a queue's state and update the counts."""
        if queue.state is QueueState.READY:
            del self._ready[queue.run_id]
            self.ready_items -= len(queue.items)
            self.ready_bytes -= queue.size
        elif queue.state is QueueState.BLOCKED:
            self._blocked_bytes -= queue.journal_bytes
        queue.state = state
        if state is QueueState.BLOCKED:
            self._blocked_bytes += queue.journal_bytes
            self._blockings += 1
            heapq.heappush(self._blocked, (queue.until, self._blockings, queue))
        elif state is QueueState.READY and not queue.items:
            del self._queues[queue.run_id]
        elif state is QueueState.READY:
            self._ready[queue.run_id] = queue
            self._ready.move_to_end(queue.run_id, last=not first)
            self.ready_items += len(queue.items)
            self.ready_bytes += queue.size


_NOT_TRIED = frozenset({Disposition.NOT_PROCESSED, Disposition.PAUSE})
"""The server did not process the item, and nothing is wrong with it."""
