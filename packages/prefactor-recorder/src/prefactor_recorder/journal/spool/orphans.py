"""Taking over what dead processes left: their lock first, then their segments."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from prefactor_recorder.journal.spool.identity import read_identity
from prefactor_recorder.journal.spool.paths import is_private, is_regular
from prefactor_recorder.journal.spool.process_lock import LOCK, Claim, claim_dead
from prefactor_recorder.journal.spool.segment import ACK, SEGMENT, Segment, adopt_segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

MOST_SEGMENTS = 64
"""Segments of others to hold open at once. An outage can leave behind thousands of short-lived
processes, and the host needs its file descriptors; more are taken over as these are done."""


class Takeover:
    """The claims on dead processes, each held until the last of its segments is delivered."""

    def __init__(self, note: Callable[[str], None]) -> None:
        """Start without any.

        Args:
            note: Told what the user should know.
        """
        self._note = note
        self._claims: dict[Path, tuple[Claim, set[Segment]]] = {}

    def adopt(self, directories: Iterable[Path], own: Claim | None) -> list[Segment]:
        """Take over what nobody alive holds, oldest process first, segments in order."""
        adopted: list[Segment] = []
        for directory in directories:
            for process, paths in segments_by_process(directory).items():
                if own and process == own.process and directory == own.directory:
                    continue
                lock = directory / f"{process}{LOCK}"
                if self._open_segments() >= MOST_SEGMENTS:
                    return adopted
                if lock not in self._claims:
                    adopted += self._adopt_process(lock, paths)
        return adopted

    def _open_segments(self) -> int:
        return sum(len(segments) for _, segments in self._claims.values())

    def _adopt_process(self, lock: Path, paths: list[Path]) -> list[Segment]:
        try:
            claim = claim_dead(lock)
        except OSError as error:
            self._note(f"cannot take over {lock}: {error}")
            return []
        if claim is None:
            return []
        segments = list(self._open(paths))
        self._claims[lock] = (claim, set(segments))
        if not segments:
            self._release(lock)
        settled = [segment for segment in segments if segment.is_done]
        for segment in settled:
            self.retire(segment)
        return [segment for segment in segments if segment not in settled]

    def _open(self, paths: list[Path]) -> Iterable[Segment]:
        for path in paths:
            try:
                yield adopt_segment(path)
            except FileNotFoundError:
                # Whoever held the lock before us has just delivered it.
                continue
            except OSError as error:
                self._note(f"cannot read {path}: {error}")

    def retire(self, segment: Segment) -> None:
        """Delete a segment that is settled, and with the last one every trace of its process."""
        segment.discard()
        self._forget(segment)

    def _forget(self, segment: Segment) -> None:
        for lock, (_, segments) in list(self._claims.items()):
            segments.discard(segment)
            if not segments:
                self._release(lock)

    def abandon(self, segment: Segment) -> None:
        """Leave a segment that cannot be read to somebody else."""
        segment.shut()
        self._forget(segment)

    def drop(self) -> None:
        """Let go of everything, for somebody else to take."""
        for claim, segments in self._claims.values():
            for segment in segments:
                segment.shut()
            claim.drop()
        self._claims.clear()

    def _release(self, lock: Path) -> None:
        claim, _ = self._claims.pop(lock)
        # A segment that could not be read keeps its lock file and its acks.
        if not segments_by_process(claim.directory).get(claim.process):
            for path in claim.directory.glob(f"{claim.process}-*{ACK}"):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            claim.remove()
        else:
            claim.drop()


def segments_by_process(directory: Path) -> dict[str, list[Path]]:
    """The segment files of each process: oldest process first, segments as they were written."""
    found: dict[str, dict[int, Path]] = {}
    with contextlib.suppress(OSError):
        for path in directory.iterdir():
            process, dash, number = path.name.removesuffix(SEGMENT).rpartition("-")
            if path.name.endswith(SEGMENT) and dash and number.isdecimal() and is_regular(path):
                found.setdefault(process, {})[int(number)] = path
    oldest = sorted(found, key=lambda process: _age(found[process].values()))
    return {process: [path for _, path in sorted(found[process].items())] for process in oldest}


def _age(paths: Iterable[Path]) -> float:
    times: list[float] = []
    for path in paths:
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return min(times, default=0.0)


def siblings(directory: Path, account: str | None) -> list[Path]:
    """The directories of one account under any token, the given one first if it is there.

    Whose the others are is known only once the server has named the account for them, too.
    """
    found = [directory] if is_private(directory) else []
    if account and is_private(directory.parent):
        with contextlib.suppress(OSError):
            others = sorted(directory.parent.iterdir())
            found += [other for other in others if other != directory and _is_of(other, account)]
    return found


def _is_of(directory: Path, account: str) -> bool:
    return is_private(directory) and read_identity(directory).account_id == account
