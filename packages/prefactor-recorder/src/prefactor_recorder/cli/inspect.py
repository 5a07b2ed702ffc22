"""What is in a spool, seen from outside: read, never changed and never locked for long."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from prefactor_recorder.journal.spool.dead_letters import LETTERS, Letter, read_letters
from prefactor_recorder.journal.spool.identity import read_identity
from prefactor_recorder.journal.spool.paths import check_private, is_regular
from prefactor_recorder.journal.spool.process_lock import LOCK, is_alive
from prefactor_recorder.journal.spool.segment import ACK, SEGMENT, look_at_segment, process_of

# In the order in which they may be deleted: acks mean nothing without their segment, but a segment
# without its acks would be delivered again; and the lock protects all of them.
_KINDS = (SEGMENT, ACK, LETTERS, LOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFiles:
    """What one process has left, or is filling."""

    name: str
    """The name its files begin with."""
    directory: Path
    """Where they are."""
    pid: int
    """Its process id, as it was."""
    alive: bool
    """Whether somebody holds its lock: the process itself, or one that has taken it over."""
    segments: list[Path] = field(default_factory=list[Path])
    """Its segments."""
    files: list[Path] = field(default_factory=list[Path])
    """All of its files, in the order in which they may be deleted."""
    bytes: int = 0
    """What they take."""
    undelivered: int = 0
    """Records in them that are not settled."""
    oldest: float | None = None
    """When the oldest segment was last written to, as seconds since 1970; None if there is none."""
    letters: list[Letter] = field(default_factory=list[Letter])
    """Its dead letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFiles:
    """The directory of one account at one API, as one token left it."""

    directory: Path
    """The directory."""
    api_url: str | None
    """The API; None if nobody wrote it down."""
    account_id: str | None
    """The account; None if the server has not named it yet."""
    processes: list[ProcessFiles]
    """Whose files are in it."""
    not_regular: list[Path]
    """What has the name of a file of the spool and is something else; it is left alone."""


def survey(root: Path) -> list[AccountFiles]:
    """Everything below the root of a spool, except what belongs to somebody else."""
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
    for path in sorted(directory.iterdir()):
        if path.suffix in _KINDS and is_regular(path):
            by_process.setdefault(process_of(path), []).append(path)
        elif path.suffix in _KINDS:
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


def _process(directory: Path, name: str, files: list[Path]) -> ProcessFiles:
    # First: what is counted of a process that is dead by now does not change any more.
    alive = _is_alive(directory / f"{name}{LOCK}")
    segments = [path for path in files if path.suffix == SEGMENT]
    pid = name.partition("-")[0]
    times: list[float] = []
    size = undelivered = 0
    for path in files:
        # What a living process is done with goes away while we look.
        with contextlib.suppress(OSError):
            found = path.stat()
            size += found.st_size
            if path in segments:
                times.append(found.st_mtime)
                undelivered += look_at_segment(path)
    return ProcessFiles(
        name=name,
        directory=directory,
        pid=int(pid) if pid.isdecimal() else 0,
        alive=alive,
        segments=segments,
        files=sorted(files, key=lambda path: _KINDS.index(path.suffix)),
        bytes=size,
        undelivered=undelivered,
        oldest=min(times, default=None),
        letters=_letters(directory / f"{name}{LETTERS}"),
    )


def _is_alive(lock: Path) -> bool:
    try:
        return is_alive(lock)
    except OSError:
        # Nobody can hold it, and nobody can take it either.
        return False


def _letters(path: Path) -> list[Letter]:
    try:
        return read_letters(path)
    except OSError:
        return []
