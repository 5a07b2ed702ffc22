"""Decides which items leave next and what becomes of them. Pure.

One queue per run keeps its order, with one request under way. Every entry added is sent until it is
delivered or dead-lettered, and comes out of exactly one settlement.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from prefactor_recorder.delivery.batch_size import FRAME
from prefactor_recorder.delivery.outcomes import Fate, Verdict
from prefactor_recorder.delivery.rejections import Refusals
from prefactor_recorder.delivery.repair import (
    SizeLimits,
    distinct_registration,
    lost_records,
    repaired_registration,
)
from prefactor_recorder.delivery.run_queue import Batch, Item, Lane, LaneState
from prefactor_recorder.delivery.settlement import Settlement
from prefactor_recorder.delivery.throttle import LONGEST, backoff
from prefactor_recorder.encoding.record import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prefactor_recorder.encoding.record import Record
    from prefactor_recorder.journal.base import Entry

_REGISTER, _CREATE_SPAN = Operation.REGISTER, Operation.CREATE_SPAN
STRIKES = 8
"""Failures of one item, while others are taken, until it is dead-lettered: about two minutes."""
ABSENCES = 30
"""How often the server may not know the run of an item: about half an hour."""


class Planner:
    """Plans what is sent.

    Args:
        window: Bytes of records to hold at most; those of lanes that wait for their turn after a
            failure may come on top, up to as much again, so that they do not hold up the others.
        random: Draws from [0, 1).
    """

    def __init__(self, window: int, random: Callable[[], float]) -> None:
        """Hold nothing yet."""
        self._window = window
        self._random = random
        self._held: dict[Entry, int] = {}
        self._lanes: dict[str, Lane] = {}
        self._ready: OrderedDict[str, Lane] = OrderedDict()
        self._blocked: list[tuple[float, int, Lane]] = []
        self._blocked_weight = 0
        self._blockings = 0
        self.limits = SizeLimits()
        """How much the server takes."""
        self.refusals = Refusals()
        """What was refused, and takes along what depends on it."""
        self.held_bytes = 0
        """Bytes of records that were added and not settled."""
        self.ready_items = 0
        """Items that could leave now."""
        self.ready_bytes = 0
        """Bytes of those in requests, at most."""
        self.delivered = 0
        """Records that were delivered."""
        self.added = 0
        """Bytes of records that were ever added."""

    @property
    def room(self) -> int:
        """Bytes of records that may be added; not positive when the window is full."""
        return self._window + min(self._blocked_weight, self._window) - self.held_bytes

    @property
    def oldest(self) -> int | None:
        """What `added` was with the oldest entry that is not settled."""
        return next(iter(self._held.values()), None)

    @property
    def next_release(self) -> float:
        """When the first of the blocked lanes may try again; infinity when none is blocked."""
        return self._blocked[0][0] if self._blocked else math.inf

    @property
    def held(self) -> list[Entry]:
        """Everything that is not settled, in the order in which it was added."""
        return list(self._held)

    def add(self, entries: Iterable[Entry]) -> Settlement:
        """Take entries in; those of runs and spans that were refused come out again at once."""
        settlement = Settlement.new()
        held = self._held
        for entry in entries:
            self.added += entry.size
            held[entry] = self.added
            self.held_bytes += entry.size
            record = entry.record
            if record.operation is _REGISTER:
                self._register(record.run_id)
            elif record.operation is _CREATE_SPAN:
                self.refusals.forget(record.id)
            refusal = self.refusals.of(record)
            if refusal is None:
                self._enqueue(entry, record)
            else:
                self._bury((entry,), refusal, settlement)
        return settlement

    def _register(self, run_id: str) -> None:
        """Here is what a run was waiting for that was recorded elsewhere: forget its failures."""
        self.refusals.learn(run_id)
        lane = self._lanes.get(run_id)
        if lane is not None and lane.state is LaneState.BLOCKED:
            self._move(lane, LaneState.READY)

    def _enqueue(self, entry: Entry, record: Record) -> None:
        lane = self._lanes.get(record.run_id)
        if lane is None:
            lane = self._lanes[record.run_id] = Lane(record.run_id)
            self._ready[lane.run_id] = lane
        size, items = lane.size, 0
        if record.operation is not Operation.FINISH_SPAN or not lane.merge(entry):
            lane.append(Item(record, entry))
            items = 1
        if lane.state is LaneState.READY:
            self.ready_items += items
            self.ready_bytes += lane.size - size
        elif lane.state is LaneState.BLOCKED:
            self._blocked_weight += entry.size

    # --- Out ------------------------------------------------------------------------------------

    def next_batch(self, now: float, items: int, size: int) -> Batch | None:
        """Cut the next request; None when no lane is ready.

        Args:
            now: The time.
            items: Items at most.
            size: Bytes at most, unless one item alone has more.
        """
        self.release(now)
        batch = Batch({}, [])
        left = size - FRAME
        while self._ready and len(batch.items) < items:
            lane = next(iter(self._ready.values()))
            if batch.items and not _fits(lane.queue[0], left, batch):
                break
            self._move(lane, LaneState.AWAY)
            batch.lanes.append(lane)
            taken = batch.items
            while lane.queue and len(taken) < items:
                item = lane.queue[0]
                if taken and (item.size > left or item.key in taken):
                    break
                lane.take()
                item.sent = True
                self.limits.fit(item)
                left -= item.size
                taken[item.key] = item
        return batch if batch.items else None

    def release(self, now: float) -> None:
        """Let lanes whose wait is over take part again."""
        while self._blocked and self._blocked[0][0] <= now:
            until, _, lane = heapq.heappop(self._blocked)
            if lane.state is LaneState.BLOCKED and lane.until == until:
                self._move(lane, LaneState.READY)

    def forgive(self, *, everyone: bool = False) -> None:
        """Let lanes try again that failed while the server failed on everything.

        Args:
            everyone: The others too: somebody wants to know now.
        """
        for lane in [lane for _, _, lane in self._blocked]:
            if lane.state is LaneState.BLOCKED and (everyone or not lane.queue[0].strikes):
                self._move(lane, LaneState.READY)

    # --- What became of it ----------------------------------------------------------------------

    def returned(self, batch: Batch, *, sent: bool) -> None:
        """A request failed as a whole: everything in it is to be sent again.

        Args:
            batch: The request.
            sent: Whether the server may have seen it.
        """
        kept: dict[str, list[Item]] = {}
        for item in batch.items.values():
            item.sent = sent
            kept.setdefault(item.record.run_id, []).append(item)
        for lane in reversed(batch.lanes):
            lane.put_back(kept[lane.run_id])
            self._move(lane, LaneState.READY, first=True)

    def settle(self, batch: Batch, verdicts: Iterable[Verdict], now: float) -> Settlement:
        """A request was answered.

        Args:
            batch: The request.
            verdicts: One for each item, in order.
            now: The time.
        """
        settlement = Settlement.new()
        kept: dict[str, list[Item]] = {}
        taken: set[str] = set()
        for item, verdict in zip(batch.items.values(), verdicts, strict=True):
            run_id = item.record.run_id
            if verdict.fate is Fate.DELIVERED:
                self._deliver(item, settlement)
                taken.add(run_id)
                continue
            kept.setdefault(run_id, []).extend(self._judge(batch, item, verdict, now, settlement))
        for run_id in taken:
            self.refusals.learn(run_id)
            if self._lanes[run_id].state is not LaneState.BLOCKED:
                self._lanes[run_id].failures = 0
        for lane in reversed(batch.lanes):
            self._return(lane, kept.get(lane.run_id, []), settlement)
        return settlement

    def answered(
        self, run_id: str, refusal: dict[str, Any], now: float, *, there: bool | None
    ) -> Settlement:
        """A run whose register was refused was asked for.

        Args:
            run_id: The run.
            refusal: Why it was refused.
            now: The time.
            there: Whether the server has it; None if it did not say.
        """
        settlement = Settlement.new()
        lane = self._lanes[run_id]
        item = lane.take()
        lane.state = LaneState.AWAY
        kept = [item]
        if there is None:
            self._delay(lane, now, slowly=False)
        elif there:
            self._deliver(item, settlement)
            kept = []
        elif not self._repair(item, distinct_registration(item.record), settlement):
            self._refuse(item, Fate.BURY, refusal, settlement)
            kept = []
        self._return(lane, kept, settlement)
        return settlement

    def _judge(
        self, batch: Batch, item: Item, verdict: Verdict, now: float, settlement: Settlement
    ) -> list[Item]:
        """Do what a verdict says; what is still to be sent of the item, and before it."""
        lane, fate = self._lanes[item.record.run_id], verdict.fate
        refusal = verdict.refusal or {}
        if fate is Fate.STANDS:
            self._acknowledge(item.entry, settlement)
            return [] if item.finish is None else [Item(item.finish.record, item.finish)]
        if fate is Fate.ASK:
            lane.state = LaneState.ASKING
            settlement.asks.append((lane.run_id, refusal))
        elif fate in _UNTOUCHED:
            item.sent = False
        elif fate is Fate.UNKNOWN_RUN and (lost := self._lost(batch, lane, settlement)):
            return [*lost, item]
        elif fate is Fate.BURY and self._change(item, refusal, settlement):
            item.sent = False
        elif self._may_pass(lane, fate) and not self._is_hopeless(item, fate):
            self._delay(lane, now, slowly=fate is Fate.FORBIDDEN)
        else:
            self._refuse(item, fate, refusal, settlement)
            return []
        return [item]

    def _change(self, item: Item, refusal: dict[str, Any], settlement: Settlement) -> bool:
        """Change an item so that the server takes it; whether it could be."""
        if self.limits.reduce(item, refusal):
            return True
        return self._repair(item, repaired_registration(item.record, refusal), settlement)

    def _repair(self, item: Item, record: Record | None, settlement: Settlement) -> bool:
        """Send another registration, if there is one; whether there is."""
        if record is None:
            return False
        settlement.repaired.append((item.record, record))
        item.replace(record)
        return True

    def _lost(self, batch: Batch, lane: Lane, settlement: Settlement) -> list[Item]:
        """What registers a run that the server does not know although it was begun here."""
        if self.refusals.is_known(lane.run_id):
            return []
        items = (*batch.items.values(), *lane.queue)
        lost = lost_records([one.record for one in items if one.record.run_id == lane.run_id])
        if lost:
            self.refusals.learn(lane.run_id)
            settlement.lost.append(lane.run_id)
        return [Item(record, None) for record in lost]

    def _may_pass(self, lane: Lane, fate: Fate) -> bool:
        """Whether what the server said of an item may be different later."""
        if fate is Fate.UNKNOWN_RUN:
            return not self.refusals.is_known(lane.run_id)
        return fate in {Fate.RETRY, Fate.FORBIDDEN}

    def _is_hopeless(self, item: Item, fate: Fate) -> bool:
        """Count a failure of an item; whether it was one too many.

        What fails while everything fails is not to blame: only failures between which something
        else was delivered count.
        """
        if -1 < item.seen < self.delivered:
            item.strikes += 1
        item.seen = self.delivered
        # A run that is not known is an answer of a server that works.
        item.absent += fate is Fate.UNKNOWN_RUN
        return item.strikes >= STRIKES or item.absent >= ABSENCES

    def _delay(self, lane: Lane, now: float, *, slowly: bool) -> None:
        lane.failures += 1
        wait = LONGEST if slowly else backoff(lane.failures, self._random())
        lane.until = now + wait
        lane.state = LaneState.BLOCKED

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

    def _bury(
        self, entries: Iterable[Entry], refusal: dict[str, Any], settlement: Settlement
    ) -> None:
        for entry in entries:
            del self._held[entry]
            self.held_bytes -= entry.size
            settlement.buried.append((entry, refusal))

    def _refuse(
        self, item: Item, fate: Fate, refusal: dict[str, Any], settlement: Settlement
    ) -> None:
        """Bury an item, and remember what cannot be delivered without it."""
        self._bury(item.entries, refusal, settlement)
        unknown = fate is Fate.UNKNOWN_RUN
        self.refusals.refused(item.record, refusal, unknown_run=unknown)

    def _return(self, lane: Lane, kept: list[Item], settlement: Settlement) -> None:
        """Put back what is left of a lane, without what depends on something that was refused."""
        state = LaneState.READY if lane.state is LaneState.AWAY else lane.state
        lane.state = LaneState.AWAY
        lane.put_back(kept)
        refusal = self.refusals.reason(lane.run_id)
        while refusal is not None and lane.queue:
            self._bury(lane.take().entries, refusal, settlement)
        if settlement.buried:
            for item in lane.remove(self.refusals):
                why = self.refusals.reason(item.record.id)
                self._bury(item.entries, why or {}, settlement)
        self._move(lane, state if lane.queue else LaneState.READY, first=bool(kept))

    def _move(self, lane: Lane, state: LaneState, *, first: bool = False) -> None:
        """Change the state of a lane, and everything that counts on it."""
        if lane.state is LaneState.READY:
            del self._ready[lane.run_id]
            self.ready_items -= len(lane.queue)
            self.ready_bytes -= lane.size
        elif lane.state is LaneState.BLOCKED:
            self._blocked_weight -= lane.weight
        lane.state = state
        if state is LaneState.BLOCKED:
            self._blocked_weight += lane.weight
            self._blockings += 1
            heapq.heappush(self._blocked, (lane.until, self._blockings, lane))
        elif state is LaneState.READY and not lane.queue:
            del self._lanes[lane.run_id]
        elif state is LaneState.READY:
            self._ready[lane.run_id] = lane
            self._ready.move_to_end(lane.run_id, last=not first)
            self.ready_items += len(lane.queue)
            self.ready_bytes += lane.size


_UNTOUCHED = frozenset({Fate.ABSENT, Fate.PAUSE})
"""Nothing was done about the item, and nothing is wrong with it."""


def _fits(item: Item, left: int, batch: Batch) -> bool:
    # A key that came twice would make the whole request wrong.
    return item.size <= left and item.key not in batch.items
