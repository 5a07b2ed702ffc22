"""The journal on disk, put together: segments of one's own, and those of the dead."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefactor_recorder.journal.base import RecordSource, place_of
from prefactor_recorder.journal.memory import MemoryQueue
from prefactor_recorder.journal.spool.append import Writer
from prefactor_recorder.journal.spool.dead_letters import (
    LETTERS,
    append_letter,
    encode_letter,
    trim_letters,
)
from prefactor_recorder.journal.spool.orphans import Takeover, siblings
from prefactor_recorder.journal.spool.paths import default_directory
from prefactor_recorder.journal.spool.process_files import SpoolFiles
from prefactor_recorder.journal.spool.process_lock import CAN_LOCK
from prefactor_recorder.journal.spool.segment import Segment, process_of
from prefactor_recorder.journal.spool.warnings import Notes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from prefactor_recorder.journal.base import Entry, Place

MIB = 1024 * 1024
ADOPTION_INTERVAL = 30.0
"""Seconds after which dead processes are looked for again."""
BUDGET_INTERVAL = 5.0
"""Seconds after which the size of the directory is looked at again."""
LONGEST_PAUSE = 60.0
"""Seconds between attempts to go back to a disk that failed, at most."""
LOSS_INTERVAL = 60.0
"""Seconds between two warnings about what there was no room for."""
LETTERS_SHARE = 8
"""One part in so many of the directory's budget is for dead letters."""
PATIENCE = 0.05
"""Seconds that `close` waits for the delivery thread to put down what it holds."""


class SpoolJournal:
    """Keeps records on disk until they are delivered, and in memory while the disk fails.

    Nothing is touched before the first record is appended, or what others left is asked for.
    """

    def __init__(
        self,
        spool_dir: Path | None,
        *,
        api_url: str,
        api_token: str,
        limit: int = 512 * MIB,
        memory_limit: int = 64 * MIB,
        segment_size: int = 8 * MIB,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Choose the place.

        Args:
            spool_dir: The root of the spool. None: see `default_directory`.
            api_url: The API that records are delivered to.
            api_token: The token they are delivered with. A digest of it names the directory.
            limit: Bytes that the account's directory may take.
            memory_limit: Bytes of records to hold in memory while the disk fails.
            segment_size: Bytes after which a new file is begun.
            clock: Seconds that never go backwards.
        """
        self._place = (spool_dir or default_directory(), api_url, api_token)
        self._clock = clock
        # Nobody deletes dead letters but the user: without a limit of their own they would take
        # the room of what can still be delivered.
        self._letters_limit = limit // LETTERS_SHARE
        self._files = SpoolFiles(*self._place)
        self._notes = Notes()
        self._writer = Writer(
            self._files,
            self._notes.add,
            limit=limit,
            memory_limit=memory_limit,
            # Room comes back one whole file at a time, so there have to be several.
            segment_size=max(min(segment_size, limit // 8), 1),
        )
        # Not a method around the other's: a call for each record is a call for each record.
        self.append = self._writer.append
        self._start()

    def _start(self) -> None:
        # Held while files are read, settled or taken over. Never by a thread that records.
        self._files_lock = threading.RLock()
        self._is_closed = False
        now = self._clock()
        self._takeover = Takeover(self._notes.add)
        self._adopted: tuple[Segment, ...] = ()
        self._next_adoption = now + ADOPTION_INTERVAL
        self._next_weighing = now
        self._next_attempt = now
        self._next_said = now
        self._pause = 1.0
        self._said = 0
        self._unkept = 0
        self._unkept_last = ""

    @property
    def unread(self) -> int:
        """Bytes appended or taken over, and not read yet."""
        return sum(source.unread for source in (*self._writer.sources, *self._adopted))

    @property
    def undelivered(self) -> int:
        """Records that were appended or taken over, and neither settled nor buried."""
        return _unsettled(self._writer.sources) + _unsettled(self._adopted)

    @property
    def in_memory(self) -> int:
        """Those of them that end with this process, because the disk failed when they came."""
        sources = self._writer.sources
        return _unsettled(source for source in sources if isinstance(source, MemoryQueue))

    @property
    def inherited(self) -> int:
        """Those of the undelivered that were taken over from dead processes."""
        return _unsettled(self._adopted)

    @property
    def dropped(self) -> int:
        """Records that there was no room for, or that came after the end."""
        return self._writer.dropped + self._writer.late

    @property
    def is_degraded(self) -> bool:
        """Whether records wait in memory because the disk failed."""
        return self._writer.is_degraded

    def read(self, limit: int) -> list[Entry]:
        """The next entries, about `limit` bytes of them.

        A quarter is for what was taken over, so that a busy process does not keep it for ever.
        """
        with self._files_lock:
            return [] if self._is_closed else self._read_all(limit)

    def _read_all(self, limit: int) -> list[Entry]:
        own = self._read(self._writer.sources, limit - limit // 4 if self._adopted else limit)
        if not self._adopted:
            return own
        return own + self._read(self._adopted, limit - sum(entry.size for entry in own))

    def _read(self, sources: Sequence[RecordSource], limit: int) -> list[Entry]:
        entries: list[Entry] = []
        for source in sources:
            if limit <= 0:
                break
            if not source.unread:
                continue
            try:
                found = source.read(limit)
            except OSError as error:
                self._notes.add(f"cannot read back what was recorded, and leave it there: {error}")
                self._abandon(source)
                continue
            entries += found
            limit -= sum(entry.size for entry in found)
            if source.is_done:
                self._retire(source)
        return entries

    def settle(self, entries: Iterable[Entry]) -> None:
        """Forget entries that the server has taken."""
        places: dict[RecordSource, list[Place]] = {}
        for entry in entries:
            place = place_of(entry)
            places.setdefault(place.source, []).append(place)
        with self._files_lock:
            if not self._is_closed:
                for source, settled in places.items():
                    self._settle(source, settled)

    def _settle(self, source: RecordSource, places: list[Place]) -> None:
        source.settle(places)
        if not source.is_done:
            self._writer.renew(source)
        if source.is_done:
            self._retire(source)

    def bury(self, entry: Entry, refusal: dict[str, Any]) -> None:
        """Put aside an entry that no server will ever take, with what it said."""
        with self._files_lock:
            self._keep_letter(entry, refusal)
            self.settle([entry])

    def _keep_letter(self, entry: Entry, refusal: dict[str, Any]) -> None:
        letter = encode_letter(entry.record, refusal, datetime.now(UTC))
        try:
            append_letter(self._letters_of(place_of(entry).source), letter, self._letters_limit)
        except OSError as error:
            self._unkept += 1
            self._unkept_last = f"{entry.record.key}, {refusal.get('message')}: {error}"

    def _letters_of(self, source: RecordSource) -> Path:
        """The file beside the segment: what a dead process left stays together."""
        if isinstance(source, Segment):
            return source.path.with_name(f"{process_of(source.path)}{LETTERS}")
        if self._files.claim is None:
            raise OSError("there is no spool")
        return self._files.claim.directory / f"{self._files.claim.process}{LETTERS}"

    def adopt(self) -> int:
        """Take over what dead processes left, under this token or another of the account."""
        self._next_adoption = self._clock() + ADOPTION_INTERVAL
        with self._files_lock:
            return 0 if self._is_closed else self._adopt()

    def _adopt(self) -> int:
        if self._files.directory is None or not CAN_LOCK:
            return 0
        places = siblings(self._files.directory, self._files.account_id)
        found = self._takeover.adopt(places, self._files.claim)
        self._adopted = (*self._adopted, *found)
        return sum(segment.expected for segment in found)

    def learn_account(self, account_id: str) -> None:
        """Remember whose data this is, as the server said."""
        self._files.learn_account(account_id)

    def maintain(self) -> int:
        """What has to be done about once a second; how many records that took over."""
        with self._files_lock:
            adopted = 0 if self._is_closed else self._maintain()
        self._notes.say()
        return adopted

    def _maintain(self) -> int:
        now = self._clock()
        adopted = self.adopt() if now >= self._next_adoption else 0
        if self._writer.is_degraded:
            self._try_the_disk(now)
        with contextlib.suppress(OSError):
            self._writer.catch_up()
        if now >= self._next_weighing:
            self._next_weighing = now + BUDGET_INTERVAL
            self._trim_letters()
            self._writer.weigh()
        if now >= self._next_said and (self._writer.dropped > self._said or self._unkept):
            self._next_said = now + LOSS_INTERVAL
            self._say_losses()
        return adopted

    def _try_the_disk(self, now: float) -> None:
        if now < self._next_attempt:
            return
        if self._writer.restore():
            self._pause = 1.0
            self._notes.add("recording to disk again")
        else:
            self._next_attempt = now + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _trim_letters(self) -> None:
        directory = self._files.directory
        if directory and (deleted := trim_letters(directory, self._letters_limit)):
            self._notes.add(f"{deleted} old files of dead letters were deleted to make room")

    def _say_losses(self) -> None:
        if dropped := self._writer.dropped - self._said:
            self._notes.add(
                f"{dropped} records were dropped for want of room: the server takes less than is "
                "recorded, or PREFACTOR_SPOOL_LIMIT is too small"
            )
        if self._unkept:
            self._notes.add(
                f"{self._unkept} refused records could not be put aside as dead letters, the last: "
                f"{self._unkept_last}"
            )
        self._said += dropped
        self._unkept = 0

    def close(self) -> None:
        """Let go of files and locks. What is undelivered stays for the next process.

        If the delivery thread is still at work on the files, they stay open and locked until the
        process ends: what it has in hand must not be taken from under it.
        """
        self._writer.refuse()
        if self._files_lock.acquire(timeout=PATIENCE):
            try:
                self._let_go()
            finally:
                self._files_lock.release()
        self._say_losses()
        self._notes.say()

    def _let_go(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._writer.close()
            self._takeover.drop()

    def after_fork(self) -> None:
        """In a forked child: start empty. What was inherited is the parent's to deliver."""
        # Closed, never unlocked: the locks are the parent's, on descriptions that both share.
        self._writer.shut()
        self._takeover.drop()
        self._files = SpoolFiles(*self._place)
        self._notes = Notes()
        self._writer.reset(self._files, self._notes.add)
        self._start()

    def _retire(self, source: RecordSource) -> None:
        damaged = source.damaged
        if damaged:
            self._notes.add(f"{damaged} damaged bytes of the spool were passed over")
        if isinstance(source, Segment) and source in self._adopted:
            self._adopted = tuple(other for other in self._adopted if other is not source)
            self._takeover.retire(source)
            self._writer.weigh()
            if not self._adopted:
                # There may be more of the dead than are taken over at once.
                self.adopt()
        else:
            self._writer.retire(source)

    def _abandon(self, source: RecordSource) -> None:
        if isinstance(source, Segment) and source in self._adopted:
            self._adopted = tuple(other for other in self._adopted if other is not source)
            self._takeover.abandon(source)
        else:
            self._writer.abandon(source)


def _unsettled(sources: Iterable[RecordSource]) -> int:
    # An exception out of a signal handler can leave a record uncounted until it is read.
    return sum(max(source.expected - source.settled, 0) for source in sources)
