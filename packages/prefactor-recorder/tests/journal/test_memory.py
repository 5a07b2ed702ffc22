"""The in-memory journal: bounded in bytes, with correct counts."""

from collections.abc import Callable

import pytest

from prefactor_recorder.encoding.record import Operation, Record, encode
from prefactor_recorder.journal.base import Entry
from prefactor_recorder.journal.memory import MemoryJournal


def encoded(number: int, size: int = 0) -> bytes:
    """A record of about `size` bytes."""
    return encode(Operation.CREATE_SPAN, b"run", b"span-%d" % number, b"x" * size)


def test_records_are_read_once_and_in_order() -> None:
    """Records are read in order, in reads of about the requested size."""
    journal = MemoryJournal(1_000_000)
    for number in range(10):
        assert journal.append(encoded(number, size=1000))

    first = journal.read(2500)
    rest = journal.read(1_000_000)
    assert [entry.record.id for entry in first + rest] == [f"span-{number}" for number in range(10)]
    assert len(first) == 3
    assert first[0].record == Record(Operation.CREATE_SPAN, "run", "span-0", b"x" * 1000)
    assert journal.unread == 0
    assert journal.undelivered == 10


def test_memory_is_bounded_until_records_are_settled() -> None:
    """Unsettled records take up room, and settling them frees it."""
    journal = MemoryJournal(5000)
    kept = sum(journal.append(encoded(number, size=1000)) for number in range(10))
    entries = journal.read(100_000)

    assert (kept, journal.dropped) == (4, 6)
    assert not journal.append(encoded(10, size=1000))
    journal.ack(entries[:1])
    assert journal.append(encoded(11, size=1000))
    assert journal.undelivered == 4


def test_settling_twice_counts_once() -> None:
    """An entry that is acked or dead-lettered again is not counted again."""
    journal = MemoryJournal(5000)
    for number in range(3):
        journal.append(encoded(number))
    entries = journal.read(1000)
    journal.ack(entries[:1])
    journal.dead_letter(entries[0], {"code": "invalid"})
    journal.dead_letter(entries[1], {"code": "invalid"})

    assert journal.undelivered == 1


def test_a_forked_child_starts_empty() -> None:
    """The parent delivers its own records, and the child has the whole budget."""
    journal = MemoryJournal(5000)
    while journal.append(encoded(1, size=1000)):
        pass
    journal.after_fork()

    assert (journal.unread, journal.undelivered, journal.dropped) == (0, 0, 0)
    assert journal.append(encoded(2, size=4000))


def test_a_closed_journal_rejects_records() -> None:
    """After close a record is refused and counted, because no other process could adopt it."""
    journal = MemoryJournal(5000)
    journal.maintain()
    journal.learn_account("acc-1")
    journal.close()

    assert journal.adopt() == 0
    assert not journal.append(encoded(1))
    assert journal.dropped == 1


def test_an_entry_of_another_journal_is_refused() -> None:
    """Settling an entry of another journal is an error and changes nothing."""
    journal = MemoryJournal(5000)

    with pytest.raises(TypeError):
        journal.ack([Entry(Record(Operation.START, "run", "run", b""), 1, "elsewhere")])


class Interrupted(bytes):
    """A record during which a signal arrives, whose handler records as well."""

    handler: Callable[[], object]

    def __len__(self) -> int:
        handler, self.handler = self.handler, int
        handler()
        return super().__len__()


def test_a_record_made_by_a_signal_handler_is_counted() -> None:
    """A record made by a signal handler during another one keeps all counts right."""
    journal = MemoryJournal(1000)
    interrupted = Interrupted(encoded(1))
    interrupted.handler = lambda: journal.append(encoded(2))
    assert journal.append(interrupted)
    assert journal.unread == len(encoded(1)) + len(encoded(2))
    journal.ack(journal.read(1000))
    assert (journal.unread, journal.undelivered) == (0, 0)
