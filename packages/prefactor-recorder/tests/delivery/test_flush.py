"""What a flush promises: it delivers everything, adopted records too, or ends early."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import pytest

from patience import patience
from prefactor_recorder.delivery import DeliverySettings
from prefactor_recorder.encoding.record import Operation, encode
from prefactor_recorder.journal.spool import SpoolJournal
from recorded import RecordedRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from prefactor_http.testing import ScriptedServer
    from prefactor_recorder.delivery import Delivery

    from .conftest import InspectableJournal

LIMIT = 60.0


@pytest.fixture
def spooled(tmp_path: Path) -> Iterator[Callable[[], SpoolJournal]]:
    """Open journals in one directory, as several processes would."""
    opened: list[SpoolJournal] = []

    def make() -> SpoolJournal:
        opened.append(SpoolJournal(tmp_path, api_url="https://api.example", api_token="token"))
        return opened[-1]

    yield make
    for journal in opened:
        journal.close()


def flushed(delivery: Delivery) -> int:
    """Return what is left after an unlimited flush; fail if it never ends."""
    left: list[int] = []
    waiting = threading.Thread(target=lambda: left.append(delivery.flush()), daemon=True)
    waiting.start()
    waiting.join(patience(LIMIT))
    assert left, "the flush does not end"
    return left[0]


def test_a_flush_delivers_for_any_number_of_dead_processes(
    server: ScriptedServer, deliver: Callable[..., Delivery], spooled: Callable[[], SpoolJournal]
) -> None:
    """One flush delivers the records of more dead processes than one adoption takes."""
    for number in range(150):
        journal = spooled()
        RecordedRun(journal, f"run-{number:08}").begin().span(f"span-{number:08}").finish()
        journal.close()

    assert flushed(deliver(into=spooled(), window=2000)) == 0

    assert len(server.spans) == 150


def test_a_flush_does_not_wait_for_a_rejected_token(
    server: ScriptedServer, deliver: Callable[..., Delivery], journal: InspectableJournal
) -> None:
    """After a rejected token only a person can help, so the flush returns at once."""
    RecordedRun(journal).begin().span("span-00000001")
    settings = DeliverySettings(api_url=server.url, api_token="token-that-is-none")
    delivery = deliver(settings=settings)

    assert flushed(delivery) == 4
    tried = delivery.stats.requests
    assert flushed(delivery) == 4

    assert delivery.stats.requests == tried + 1, "it is tried at each flush"


def test_a_flush_does_not_wait_for_damaged_records(
    server: ScriptedServer,
    deliver: Callable[..., Delivery],
    spooled: Callable[[], SpoolJournal],
    tmp_path: Path,
) -> None:
    """Bytes that were damaged before they were read are counted, and not waited for."""
    journal = spooled()
    run = RecordedRun(journal).begin()
    (segment,) = tmp_path.rglob("*.seg")
    sound = segment.stat().st_size
    run.span("span-00000001").span("span-00000002")
    with segment.open("r+b") as file:
        file.seek(sound + 20)
        file.write(b"\xff")

    flushed(deliver(into=journal))

    assert "span-00000002" in server.spans


class Interrupted(bytes):
    """A record whose append is interrupted by a signal handler."""

    handler: Callable[[], object]

    def __len__(self) -> int:
        handler, self.handler = self.handler, int
        handler()
        return super().__len__()


def test_a_signal_handler_may_flush_in_the_middle_of_a_record(
    server: ScriptedServer, deliver: Callable[..., Delivery], tmp_path: Path
) -> None:
    """Earlier records are delivered and deleted, although one record is half written."""
    journal = SpoolJournal(
        tmp_path, api_url="https://api.example", api_token="token", segment_size=3000
    )
    delivery = deliver(into=journal)
    run = RecordedRun(journal).begin()
    for number in range(20):
        run.span(f"span-{number:08}")
    left: list[int] = []
    body = b'"status":"complete","timestamp":"2026-01-31T09:30:00.000000Z"'
    last = Interrupted(encode(Operation.FINISH, run.id.encode(), run.id.encode(), body))
    last.handler = lambda: left.append(delivery.flush(patience(LIMIT)))

    assert journal.append(last)

    assert left == [0]
    assert len(server.spans) == 20
    assert delivery.close(patience(LIMIT)) == 0
    journal.close()
    assert not [*tmp_path.rglob("*.seg")]


@pytest.mark.parametrize("timeout", [1e12, math.inf])
def test_a_flush_accepts_any_timeout(
    server: ScriptedServer,
    deliver: Callable[..., Delivery],
    journal: InspectableJournal,
    timeout: float,
) -> None:
    """A timeout longer than the system's clocks can count means no limit."""
    RecordedRun(journal).begin().span("span-00000001")
    delivery = deliver()
    assert delivery.flush(timeout) == 0
    assert delivery.close(timeout) == 0
    assert list(server.spans) == ["span-00000001"]
