"""The delivery thread: started late, asleep when idle, and always replaced."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from prefactor_http.testing import Reply, Stall
from prefactor_recorder.journal.memory import MemoryJournal
from recorded import RecordedRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefactor_http.testing import ScriptedServer
    from prefactor_recorder.delivery import Delivery

    from .conftest import InspectableJournal, RecordingListener


def threads() -> list[threading.Thread]:
    """The delivery threads that are alive."""
    return [thread for thread in threading.enumerate() if thread.name == "prefactor-recorder"]


def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens in another thread."""
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


class Faulty(MemoryJournal):
    """A journal that raises a given error once."""

    def __init__(self) -> None:
        super().__init__(2**30)
        self.fault: BaseException | None = None

    def maintain(self) -> int:
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        return 0


class Overtaken(MemoryJournal):
    """A journal into which the host records once during its maintenance."""

    def __init__(self) -> None:
        super().__init__(2**30)
        self.recorded = 0

    def maintain(self) -> int:
        if not self.recorded:
            run = RecordedRun(self, "overtaking").begin()
            for number in range(2500):
                run.span(f"late-{number:08}")
            self.recorded = 2500
        return 0


class Counting(MemoryJournal):
    """A journal that counts its reads."""

    def __init__(self) -> None:
        super().__init__(2**30)
        self.looks = 0

    @property
    def unread(self) -> int:
        self.looks += 1
        return super().unread


def test_no_thread_is_started_without_work(
    journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """A delivery that is never woken has no thread, and closing it does nothing."""
    delivery = deliver()
    assert delivery.idle
    assert threads() == []
    assert delivery.close() == 0


def test_checking_idle_is_enough(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """Recording checks `idle` and wakes the thread, so nothing is left behind."""
    delivery = deliver(interval=0.001)
    run = RecordedRun(journal).begin()
    for number in range(300):
        run.span(f"span-{number:08}")
        if delivery.idle:
            delivery.wake()
        if number % 10 == 0:
            time.sleep(0.002)
    until(lambda: journal.undelivered == 0)
    assert len(server.spans) == 300
    assert len(threads()) == 1


def test_an_idle_thread_sleeps(deliver: Callable[..., Delivery], server: ScriptedServer) -> None:
    """Once everything is delivered, the journal is read once more and then left alone."""
    journal = Counting()
    delivery = deliver(into=journal)
    RecordedRun(journal).begin()
    assert delivery.flush(30) == 0
    looks = -1
    # Longer than between two looks of a thread that has something to do.
    while looks != journal.looks:
        looks = journal.looks
        time.sleep(1.5)
    assert delivery.idle


def test_new_records_are_not_treated_as_adopted(
    server: ScriptedServer, deliver: Callable[..., Delivery]
) -> None:
    """Records made during maintenance are delivered at full speed; only adopted ones wait."""
    journal = Overtaken()
    delivery = deliver(into=journal, interval=3600.0)
    RecordedRun(journal).begin()
    delivery.wake()
    until(lambda: journal.recorded)
    assert delivery.flush(30) == 0
    assert len(server.spans) == 2500


@pytest.mark.parametrize("fault", [RuntimeError("a bug"), OSError(28, "No space"), SystemExit()])
def test_a_failed_loop_is_restarted(
    server: ScriptedServer,
    deliver: Callable[..., Delivery],
    caplog: pytest.LogCaptureFixture,
    fault: BaseException,
) -> None:
    """The new loop delivers, once, the records that the old one had read and not delivered."""
    journal = Faulty()
    journal.fault = fault
    delivery = deliver(into=journal)
    run = RecordedRun(journal).begin()
    for number in range(50):
        run.span(f"span-{number:08}")
    assert delivery.flush(60) == 0
    assert len(server.spans) == 50
    assert delivery.stats.worker_restarts == 1
    assert "restarting it" in caplog.text
    assert max(server.applied.values()) == 1


def test_the_next_record_restarts_a_dead_thread(
    server: ScriptedServer,
    journal: InspectableJournal,
    deliver: Callable[..., Delivery],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Delivery continues even after an error that no supervisor in the thread can catch."""
    delivery = deliver()
    delivery._thread = threading.Thread()  # as in a forked child without fork hooks
    RecordedRun(journal).begin()
    delivery.wake()
    until(lambda: journal.undelivered == 0)
    assert delivery.stats.worker_restarts == 1
    assert "restarting it" in caplog.text


def test_a_close_ends_every_waiting_flush(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """An unlimited flush ends with delivery, whatever the server does."""
    server.script(*[Stall(60)] * 10)
    delivery = deliver()
    RecordedRun(journal).begin()
    left: list[int] = []
    waiting = threading.Thread(target=lambda: left.append(delivery.flush()))
    waiting.start()
    until(lambda: server.requests)
    assert delivery.close(0.1) == 2
    waiting.join()
    assert left == [2]


def test_a_flush_in_the_delivery_thread_does_not_wait_for_itself(
    server: ScriptedServer,
    journal: InspectableJournal,
    listener: RecordingListener,
    deliver: Callable[..., Delivery],
) -> None:
    """A listener that flushes gets its result at once."""
    delivery = deliver()
    run = RecordedRun(journal).begin()
    assert delivery.flush(30) == 0
    counts: list[int] = []
    listener.terminated = lambda *_: counts.append(delivery.flush())  # type: ignore[method-assign]
    server.terminate(run.id, "Enough")
    run.span("span-00000001")
    assert delivery.flush(30) == 0
    assert counts == [0]


def test_a_flush_does_not_wait_for_later_records(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """A flush ends when the records made before it are delivered."""
    delivery = deliver()
    run = RecordedRun(journal).begin()
    stop = threading.Event()

    def go_on() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            run.span(f"span-{number:08}")
            time.sleep(0.001)

    recording = threading.Thread(target=go_on)
    recording.start()
    delivery.flush()
    stop.set()
    recording.join()
    assert run.id in server.instances


def test_flushes_from_many_threads(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """Each thread's records are delivered, by one delivery thread."""
    delivery = deliver()
    found: dict[int, bool] = {}

    def work(number: int) -> None:
        run = RecordedRun(journal, f"run-{number:08}").begin()
        delivery.flush()
        found[number] = run.id in server.instances

    workers = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == dict.fromkeys(range(20), True)
    assert len(threads()) == 1


async def test_a_flush_can_be_awaited_and_given_up(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """`aflush` returns the number of undelivered records at its timeout, and zero when done."""
    server.script(Reply.error(429, "unknown", "Slow", headers={"Retry-After": "0.3"}))
    delivery = deliver()
    RecordedRun(journal).begin()
    assert await delivery.aflush(0.05) == 2
    assert await delivery.aflush() == 0


def test_closing_ends_the_thread(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """Remaining records are delivered, the thread ends, and nothing starts another."""
    delivery = deliver()
    RecordedRun(journal).begin()
    assert delivery.close(30) == 0
    assert threads() == []
    RecordedRun(journal, "run-00000002").begin()
    delivery.wake()
    assert delivery.flush() == 2
    assert delivery.close() == 2
    assert threads() == []
    assert list(server.instances) == ["run-00000001"]


def test_closing_does_not_wait_for_an_absent_server(
    journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """One attempt decides: only a server that answers gets the whole deadline."""
    delivery = deliver(api_url="http://127.0.0.1:9")
    RecordedRun(journal).begin()
    assert delivery.close(3600) == 2
    assert threads() == []


def test_a_forked_child_has_no_work_of_its_parent(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """After a fork the child plans, counts and waits for nothing of its parent's."""
    delivery = deliver()
    RecordedRun(journal).begin()
    assert delivery.flush(30) == 0
    delivery.close(30)  # a child has no thread
    delivery.after_fork()
    assert threads() == []
    assert delivery.idle
    assert delivery.stats.delivered == 0
    journal.after_fork()
    RecordedRun(journal, "run-00000002").begin()
    assert delivery.flush(30) == 0
    assert len(threads()) == 1
    assert delivery.stats.delivered == 2


def test_statistics_match_the_server(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """Requests and bytes match what the server saw, and the account is learned."""
    delivery = deliver()
    RecordedRun(journal).begin().span("span-00000001")
    assert delivery.flush(30) == 0
    stats: Any = delivery.stats
    assert stats.requests == len(server.requests)
    assert stats.bytes_sent == sum(len(request.body) for request in server.requests)
    assert (stats.delivered, stats.dead_lettered, stats.retries, stats.last_error) == (
        4,
        0,
        0,
        None,
    )
    assert journal.account == server.instances["run-00000001"]["account_id"]
