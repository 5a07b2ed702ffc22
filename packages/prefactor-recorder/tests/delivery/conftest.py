"""Shared by the delivery tests: a journal, a scripted server, and deliveries."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from prefactor_http.testing import ScriptedServer
from prefactor_recorder.delivery import Delivery, DeliverySettings
from prefactor_recorder.journal.memory import MemoryJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefactor_recorder.journal.base import Entry, Journal


class InspectableJournal(MemoryJournal):
    """An in-memory journal that exposes its dead letters and its account."""

    def __init__(self) -> None:
        super().__init__(256 * 2**20)
        self.dead: list[tuple[str, str, dict[str, Any]]] = []
        self.account: str | None = None
        self.settled: list[str] = []

    def ack(self, entries: Any) -> None:
        entries = list(entries)
        self.settled += [entry.record.key for entry in entries]
        super().ack(entries)

    def dead_letter(self, entry: Entry, refusal: dict[str, Any]) -> None:
        self.dead.append((entry.record.operation.name, entry.record.id, refusal))
        super().dead_letter(entry, refusal)

    def learn_account(self, account_id: str) -> None:
        self.account = account_id


class RecordingListener:
    """A listener that records its calls."""

    def __init__(self) -> None:
        self.terminations: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    def terminated(self, run_id: str, reason: str | None) -> None:
        self.terminations.append((run_id, reason))

    def open_runs(self) -> list[str]:
        return self.open


@pytest.fixture
def journal() -> InspectableJournal:
    """A journal in memory."""
    return InspectableJournal()


@pytest.fixture
def listener() -> RecordingListener:
    """A listener that keeps what the server said about runs."""
    return RecordingListener()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server in a thread that behaves like the API by default."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def deliver(
    server: ScriptedServer, journal: InspectableJournal, listener: RecordingListener
) -> Iterator[Callable[..., Delivery]]:
    """Makes deliveries from the journal to the server, and closes them after the test."""
    made: list[Delivery] = []

    def make(
        *, into: Journal | None = None, settings: DeliverySettings | None = None, **changes: Any
    ) -> Delivery:
        base = settings or DeliverySettings(api_url=server.url, api_token=server.token)
        delivery = Delivery(into or journal, replace(base, **changes), listener)
        made.append(delivery)
        return delivery

    yield make
    for delivery in made:
        delivery.close(0.1)
