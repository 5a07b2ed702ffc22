"""Adopting the segments of dead processes, after taking their lock."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from prefactor_recorder.journal.spool.identity import read_identity
from prefactor_recorder.journal.spool.paths import is_private, is_regular
from prefactor_recorder.journal.spool.process_lock import LOCK, ProcessLock, lock_dead_process
from prefactor_recorder.journal.spool.segment import ACK, SEGMENT, Segment, adopt_segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

MAX_SEGMENTS = 64
"""Maximum adopted segments held open. An outage can leave segments of thousands of short-lived
processes, and the host needs its file descriptors. More are adopted as these are done."""


class Orphans:
    """The locks of dead processes, each held until its last segment is delivered."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        """Start without adopted processes.

        Args:
            warn: Called with each warning for the user.
        """
        self._warn = warn
        self._locks: dict[Path, tuple[ProcessLock, set[Segment]]] = {}

    def adopt(self, directories: Iterable[Path], own: ProcessLock | None) -> list[Segment]:
        """Adopt segments that no living process holds, oldest process first, segments in order."""
        adopted: list[Segment] = []
        for directory in directories:
            for process, paths in segments_by_process(directory).items():
                if own and process == own.process and directory == own.directory:
                    continue
                lock = directory / f"{process}{LOCK}"
                if self._open_segments() >= MAX_SEGMENTS:
                    return adopted
                if lock not in self._locks:
                    adopted += self._adopt_process(lock, paths)
        return adopted

    def _open_segments(self) -> int:
        return sum(len(segments) for _, segments in self._locks.values())

    def _adopt_process(self, lock: Path, paths: list[Path]) -> list[Segment]:
        try:
            process_lock = lock_dead_process(lock)
        except OSError as error:
            self._warn(f"cannot take over {lock}: {error}")
            return []
        if process_lock is None:
            return []
        segments = list(self._open(paths))
        self._locks[lock] = (process_lock, set(segments))
        if not segments:
            self._release(lock)
        acked = [segment for segment in segments if segment.is_done]
        for segment in acked:
            self.remove(segment)
        return [segment for segment in segments if segment not in acked]

    def _open(self, paths: list[Path]) -> Iterable[Segment]:
        for path in paths:
            try:
                yield adopt_segment(path)
            except FileNotFoundError:
                # The previous holder of the lock has just delivered it.
                continue
            except OSError as error:
                self._warn(f"cannot read {path}: {error}")

    def remove(self, segment: Segment) -> None:
        """Delete a delivered segment, and with the last one all other files of its process."""
        segment.discard()
        self._forget(segment)

    def _forget(self, segment: Segment) -> None:
        for lock, (_, segments) in list(self._locks.items()):
            segments.discard(segment)
            if not segments:
                self._release(lock)

    def abandon(self, segment: Segment) -> None:
        """Give up a segment that cannot be read, leaving its file to another process."""
        segment.close()
        self._forget(segment)

    def release(self) -> None:
        """Release everything for other processes to adopt."""
        for process_lock, segments in self._locks.values():
            for segment in segments:
                segment.close()
            process_lock.release()
        self._locks.clear()

    def _release(self, lock: Path) -> None:
        process_lock, _ = self._locks.pop(lock)
        # An unreadable segment keeps its lock file and its acks.
        if not segments_by_process(process_lock.directory).get(process_lock.process):
            for path in process_lock.directory.glob(f"{process_lock.process}-*{ACK}"):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            process_lock.remove()
        else:
            process_lock.release()


def segments_by_process(directory: Path) -> dict[str, list[Path]]:
    """Return each process's segment files: oldest process first, segments in write order."""
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


def account_directories(directory: Path, account: str | None) -> list[Path]:
    """Return the account's directories under any token, the given one first if it exists.

    Another directory belongs to the account only if the server has reported so for its token.
    """
    found = [directory] if is_private(directory) else []
    if account and is_private(directory.parent):
        with contextlib.suppress(OSError):
            others = sorted(directory.parent.iterdir())
            found += [
                other for other in others if other != directory and _belongs_to(other, account)
            ]
    return found


def _belongs_to(directory: Path, account: str) -> bool:
    return is_private(directory) and read_identity(directory).account_id == account
