"""The journal in memory: bounded in bytes, and true about what it holds."""

from collections.abc import Callable

import pytest

from prefactor_recorder.encoding.record import Operation, Record, encode
from prefactor_recorder.journal.base import Entry
from prefactor_recorder.journal.memory import MemoryJournal


def encoded(number: int, size: int = 0) -> bytes:
    """A record of about `size` bytes."""
    return encode(Operation.CREATE_SPAN, b"run", b"span-%d" % number, b"x" * size)


def test_records_are_read_once_and_in_order() -> None:
    """What was appended comes out in order, about as much at a time as was asked for."""
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
    """What is on its way out still takes room; once it is settled there is room again."""
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
    """What the parent recorded is the parent's to deliver; the child has all the room."""
    journal = MemoryJournal(5000)
    while journal.append(encoded(1, size=1000)):
        pass
    journal.after_fork()

    assert (journal.unread, journal.undelivered, journal.dropped) == (0, 0, 0)
    assert journal.append(encoded(2, size=4000))


def test_a_closed_journal_takes_nothing_and_says_so() -> None:
    """After close a record is refused and counted; there is nobody else's to take over."""
    journal = MemoryJournal(5000)
    journal.maintain()
    journal.learn_account("acc-1")
    journal.close()

    assert journal.adopt() == 0
    assert not journal.append(encoded(1))
    assert journal.dropped == 1


def test_an_entry_of_another_journal_is_refused() -> None:
    """Settling what no journal of this package gave out is an error and changes nothing."""
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


def test_a_record_inside_of_a_record_is_counted() -> None:
    """What a signal handler records in the middle of another record keeps all counts right."""
    journal = MemoryJournal(1000)
    interrupted = Interrupted(encoded(1))
    interrupted.handler = lambda: journal.append(encoded(2))
    assert journal.append(interrupted)
    assert journal.unread == len(encoded(1)) + len(encoded(2))
    journal.ack(journal.read(1000))
    assert (journal.unread, journal.undelivered) == (0, 0)
