"""Inspecting a spool without changing it or holding its locks for long."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from prefactor_recorder.journal.spool.dead_letters import (
    DEAD_LETTERS,
    DeadLetter,
    read_dead_letters,
)
from prefactor_recorder.journal.spool.identity import read_identity
from prefactor_recorder.journal.spool.paths import check_private, is_regular
from prefactor_recorder.journal.spool.process_lock import LOCK, is_alive
from prefactor_recorder.journal.spool.segment import ACK, SEGMENT, count_undelivered, process_of

# In a safe order for deletion: a segment without its acks would be delivered again, while acks
# without their segment are harmless. The lock protects the other files, so it goes last.
_SUFFIXES = (SEGMENT, ACK, DEAD_LETTERS, LOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFiles:
    """The files of one process, dead or alive."""

    name: str
    """The prefix of its file names."""
    directory: Path
    """The directory of the files."""
    pid: int
    """Its process id, while it lived."""
    alive: bool
    """Whether a process holds its lock: itself, or one that has adopted it."""
    segments: list[Path] = field(default_factory=list[Path])
    """Its segments."""
    files: list[Path] = field(default_factory=list[Path])
    """All of its files, in a safe order for deletion."""
    bytes: int = 0
    """Size of the files."""
    undelivered: int = 0
    """Undelivered records."""
    last_written: float | None = None
    """Modification time of the newest segment, in seconds since 1970; None without segments."""
    letters: list[DeadLetter] = field(default_factory=list[DeadLetter])
    """Its dead letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFiles:
    """The directory of one token at one API."""

    directory: Path
    """The directory."""
    api_url: str | None
    """The API's URL; None if unknown."""
    account_id: str | None
    """The account; None if the server has not reported it yet."""
    processes: list[ProcessFiles]
    """The processes with files in it."""
    not_regular: list[Path]
    """Paths named like spool files that are not regular files; left alone."""


def inspect_spool(root: Path) -> list[AccountFiles]:
    """Return everything below a spool's root, except what belongs to other users."""
    return [account for directory in _directories(root) if (account := _account(directory))]


def _directories(root: Path) -> list[Path]:
    found: list[Path] = []
    for api in _private_in(root):
        found += _private_in(api)
    return found


def _private_in(directory: Path) -> list[Path]:
    found: list[Path] = []
    with contextlib.suppress(OSError):
        for path in sorted(directory.iterdir()):
            with contextlib.suppress(OSError):
                check_private(path)
                found.append(path)
    return found


def _account(directory: Path) -> AccountFiles | None:
    identity = read_identity(directory)
    by_process: dict[str, list[Path]] = {}
    not_regular: list[Path] = []
    for path in _paths_in(directory):
        if path.suffix in _SUFFIXES and is_regular(path):
            by_process.setdefault(process_of(path), []).append(path)
        elif path.suffix in _SUFFIXES and os.path.lexists(path):
            not_regular.append(path)
    if not (by_process or not_regular) and identity.api_url is None:
        return None
    return AccountFiles(
        directory=directory,
        api_url=identity.api_url,
        account_id=identity.account_id,
        processes=[_process(directory, name, files) for name, files in by_process.items()],
        not_regular=not_regular,
    )


def _paths_in(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except FileNotFoundError:
        # Another `prefactor-spool` may delete the directory meanwhile.
        return []


def _process(directory: Path, name: str, files: list[Path]) -> ProcessFiles:
    # Check this first, because the files of a dead process no longer change.
    alive = _is_alive(directory / f"{name}{LOCK}")
    segments = [path for path in files if path.suffix == SEGMENT]
    pid = name.partition("-")[0]
    times: list[float] = []
    size = undelivered = 0
    for path in files:
        # A living process may delete files meanwhile.
        with contextlib.suppress(OSError):
            found = path.stat()
            size += found.st_size
            if path in segments:
                times.append(found.st_mtime)
                undelivered += count_undelivered(path)
    return ProcessFiles(
        name=name,
        directory=directory,
        pid=int(pid) if pid.isdecimal() else 0,
        alive=alive,
        segments=segments,
        files=sorted(files, key=lambda path: _SUFFIXES.index(path.suffix)),
        bytes=size,
        undelivered=undelivered,
        last_written=max(times, default=None),
        letters=_letters(directory / f"{name}{DEAD_LETTERS}"),
    )


def _is_alive(lock: Path) -> bool:
    try:
        return is_alive(lock)
    except OSError:
        # A lock that cannot be opened is held by nobody.
        return False


def _letters(path: Path) -> list[DeadLetter]:
    try:
        return read_dead_letters(path)
    except OSError:
        return []
