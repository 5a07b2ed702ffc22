"""Several processes may use a spool in any order, and its counts stay right."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from prefactor_recorder.encoding.record import Operation, encode
from prefactor_recorder.journal.base import Entry
from prefactor_recorder.journal.spool import SpoolJournal

PROCESSES = 3
which = st.integers(0, PROCESSES - 1)


class Process:
    """A journal, and what its process knows."""

    def __init__(self, spool: Path) -> None:
        self.journal = SpoolJournal(
            spool, api_url="https://api.example", api_token="token", segment_size=600
        )
        self.held: set[str] = set()
        self.in_hand: list[Entry] = []


class Spool(RuleBasedStateMachine):
    """Three processes on one directory: each record has one holder, alive or dead, or is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.spool = Path(tempfile.mkdtemp(prefix="spool-"))
        self.processes = [Process(self.spool) for _ in range(PROCESSES)]
        self.orphans: set[str] = set()
        self.gone: set[str] = set()
        self.number = 0

    @rule(which=which, size=st.integers(0, 300), count=st.integers(1, 6))
    def append(self, which: int, size: int, count: int) -> None:
        """Record something."""
        process = self.processes[which]
        for _ in range(count):
            self.number += 1
            name = f"span-{self.number}"
            body = b'"payload":"%b"' % (b"x" * size)
            assert process.journal.append(
                encode(Operation.CREATE_SPAN, b"run-%d" % which, name.encode(), body)
            )
            process.held.add(name)

    @rule(which=which, limit=st.integers(1, 2000))
    def read(self, which: int, limit: int) -> None:
        """Read only records of this process that are neither settled nor being delivered."""
        process = self.processes[which]
        found = process.journal.read(limit)
        names = [entry.record.id for entry in found]
        assert len(set(names)) == len(names)
        assert set(names) <= process.held - {entry.record.id for entry in process.in_hand}
        process.in_hand += found

    @rule(which=which, choice=st.data(), dead_letter=st.booleans(), twice=st.booleans())
    def ack(self, which: int, choice: st.DataObject, dead_letter: bool, twice: bool) -> None:
        """Ack or dead-letter some of the records being delivered, in any order, perhaps twice."""
        process = self.processes[which]
        if not process.in_hand:
            return
        chosen = choice.draw(st.lists(st.sampled_from(process.in_hand), unique_by=id))
        for _ in range(2 if twice else 1):
            if dead_letter:
                for entry in chosen:
                    process.journal.dead_letter(entry, {"code": "invalid"})
            else:
                process.journal.ack(chosen)
        names = {entry.record.id for entry in chosen}
        process.in_hand = [entry for entry in process.in_hand if entry.record.id not in names]
        process.held -= names
        self.gone |= names

    @rule(which=which)
    def maintain(self, which: int) -> None:
        """Run the periodic maintenance, which changes no count."""
        self.processes[which].journal.maintain()

    @rule(which=which)
    def adopt(self, which: int) -> None:
        """Adopt every record of dead processes."""
        process = self.processes[which]
        assert process.journal.adopt() == len(self.orphans)
        process.held |= self.orphans
        self.orphans = set()

    @rule(which=which, politely=st.booleans())
    def end(self, which: int, politely: bool) -> None:
        """Kill a process or close its journal, and start another in its place."""
        process = self.processes[which]
        if politely:
            process.journal.close()
        else:
            process.journal.after_fork()  # only closes every descriptor
        self.orphans |= process.held
        self.processes[which] = Process(self.spool)

    @invariant()
    def the_counts_are_right(self) -> None:
        """Check that each journal knows how much it has left."""
        for process in self.processes:
            assert process.journal.undelivered == len(process.held)

    def teardown(self) -> None:
        """Check that every unsettled record can still be read, once."""
        for process in self.processes:
            process.journal.after_fork()
            self.orphans |= process.held
        successor = SpoolJournal(self.spool, api_url="https://api.example", api_token="token")
        successor.adopt()
        names: list[str] = []
        while entries := successor.read(1_000_000):
            names += [entry.record.id for entry in entries]
            successor.ack(entries)
        successor.close()
        left = [
            path.name for path in self.spool.rglob("*") if path.suffix not in {".dead", ".json"}
        ]
        shutil.rmtree(self.spool)
        assert sorted(names) == sorted(self.orphans)
        assert not [name for name in left if "-" in name]


TestSpool = Spool.TestCase
TestSpool.settings = settings(max_examples=60, stateful_step_count=40)
