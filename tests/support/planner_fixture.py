"""A planner with its surroundings: a journal, a model of the server, and a clock."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from bulk_model import BulkModel
from prefactor_recorder.delivery.outcomes import item_outcome
from prefactor_recorder.delivery.planner import Planner, Settlement
from prefactor_recorder.journal.memory import MemoryJournal
from recorded import RecordedRun

if TYPE_CHECKING:
    from prefactor_recorder.delivery.run_queue import Batch
    from prefactor_recorder.journal.base import Entry

WINDOW = 2**20


class World:
    """A journal, a planner, a model of the server, and a clock that only tests move."""

    def __init__(self, seed: int = 0) -> None:
        self.journal = MemoryJournal(2**30)
        self.server = BulkModel()
        self.planner = Planner(WINDOW, random.Random(seed).random)
        self.now = 0.0
        self.requests = 0
        self.delivered: list[Entry] = []
        self.dead_lettered: dict[str, str] = {}

    def run(self, run_id: str = "run-00000001") -> RecordedRun:
        """A run that records into the journal."""
        return RecordedRun(self.journal, run_id)

    def read(self, limit: int = 2**30) -> None:
        """Let the planner read the records."""
        self.ack(self.planner.add(self.journal.read(limit)))

    def cut(self, items: int = 1000, size: int = 2**22) -> Batch | None:
        """The next request."""
        return self.planner.next_batch(self.now, items, size)

    def send(self, batch: Batch) -> dict[str, Any]:
        """Have the server process a request."""
        self.requests += 1
        return self.server.bulk(batch.encode())

    def answer(self, batch: Batch, outputs: dict[str, Any]) -> None:
        """Give the planner the server's answer, and answer its next requests."""
        outcomes = [item_outcome(item, outputs.get(key)) for key, item in batch.items.items()]
        settlement = self.planner.apply(batch, outcomes, self.now)
        self.ack(settlement)
        for run_id, refusal in settlement.run_lookups:
            there = run_id in self.server.runs
            self.ack(self.planner.apply_lookup(run_id, refusal, self.now, exists=there))

    def ack(self, settlement: Settlement) -> None:
        """Acknowledge what the planner is done with."""
        self.delivered += settlement.delivered
        self.dead_lettered |= {
            entry.record.key: refusal["code"] for entry, refusal in settlement.dead_lettered
        }

    def drain(self, items: int = 1000, size: int = 2**22) -> None:
        """Send until nothing is left, waiting for blocked queues."""
        self.read()
        for _ in range(10_000):
            batch = self.cut(items, size)
            if batch is not None:
                self.answer(batch, self.send(batch))
            elif self.planner.held:
                self.now = max(self.now, self.planner.next_release)
            else:
                return
        raise AssertionError("there is no end to it")

    @property
    def keys(self) -> list[str]:
        """The keys of everything that was delivered, in order."""
        return [entry.record.key for entry in self.delivered]
