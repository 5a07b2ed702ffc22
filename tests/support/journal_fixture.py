"""A journal that keeps the records that runs and spans write, for tests to read."""

import json
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from prefactor_recorder.encoding import ids
from prefactor_recorder.encoding.clock import SECOND, Clock
from prefactor_recorder.encoding.record import (
    FRAME_SIZE,
    TIMESTAMP_LENGTH,
    Operation,
    Record,
    decode,
)
from prefactor_recorder.registration import Registration
from prefactor_recorder.run import Run
from prefactor_recorder.sink import Sink

START = 1_769_851_800 * SECOND
"""2026-01-31T09:30:00Z, in nanoseconds."""


@dataclass
class RecordingJournal:
    """Holds records as they were written, and is full once `room` is used up."""

    records: list[Record] = field(default_factory=list)
    room: int = 10**9

    def append(self, encoded: bytes) -> bool:
        """Keep a record, if there is room."""
        if self.room <= 0:
            return False
        self.room -= 1
        record = decode(encoded[FRAME_SIZE:])
        assert record is not None
        self.records.append(record)
        return True

    def as_dicts(self) -> list[dict[str, Any]]:
        """Each record as one flat JSON object, with `operation` in front."""
        return [record_to_dict(record) for record in self.records]

    def of_operation(self, operation: Operation) -> list[dict[str, Any]]:
        """The records of one operation."""
        return [record_to_dict(record) for record in self.records if record.operation is operation]


def record_to_dict(record: Record) -> dict[str, Any]:
    """A record as one flat JSON object."""
    body = record.body
    if record.operation is Operation.FINISH_SPAN:
        body = b'"finished_at":' + body[:TIMESTAMP_LENGTH] + body[TIMESTAMP_LENGTH:]
    return {
        "operation": record.operation.name,
        "run": record.run_id,
        "id": record.id,
        **json.loads(b"{%b}" % body),
    }


class TickingClock:
    """A clock that advances a second per reading, and whose system time can be set."""

    def __init__(self) -> None:
        self._ticks = count()
        self.shift = 0

    def elapsed(self) -> int:
        """Nanoseconds since an arbitrary time."""
        return next(self._ticks) * SECOND

    def wall(self) -> int:
        """Unix time, according to the system."""
        return START + self.shift


class NoDelivery:
    """Leaves everything in the journal."""

    idle = False

    def wake(self) -> None:
        """Do nothing."""


def make_sink(journal: Any, clock: TickingClock | None = None, **changes: Any) -> Sink:
    """Return a sink for runs and spans that writes to a test's journal."""
    ticking = clock or TickingClock()
    settings: dict[str, Any] = {"limit": 1_000_000, "redact": None, **changes}
    return Sink(
        journal=journal,
        deliverer=NoDelivery(),
        clock=Clock(ticking.wall, ticking.elapsed),
        ids=ids.IdGenerator(),
        **settings,
    )


def make_run(journal: Any, on_terminated: Any = None, **changes: Any) -> Run:
    """A run that writes to that sink."""
    sink = make_sink(journal, **changes)
    return Run(
        sink, sink.ids.new_run_id(START), Registration("a", b',"agent_id":"a"', b""), on_terminated
    )
