"""Who a process's files belong to: whoever holds the lock on its lock file.

The lock is `flock`, which the kernel lets go when the process dies, however it dies. A process id
in a file would have to be believed after a restart of the machine, when it is somebody else's.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
from typing import TYPE_CHECKING

from prefactor_recorder.journal.spool.paths import create_file, open_regular

if TYPE_CHECKING:
    from pathlib import Path

LOCK = ".lock"
_fcntl = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None
CAN_LOCK = _fcntl is not None
"""Whether this system knows locks that end with their process; else there is no spool."""


class Claim:
    """A lock held on the files of one process, this one's or a dead one's."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Keep a lock file that is open and locked."""
        self.directory = path.parent
        self.process = path.name.removesuffix(LOCK)
        self._path = path
        self._descriptor = descriptor

    @property
    def is_gone(self) -> bool:
        """Whether somebody deleted the lock file: nothing is protected then any more."""
        try:
            return os.fstat(self._descriptor).st_nlink == 0
        except OSError:  # the host has closed all that were open, and the lock went with it
            return True

    def drop(self) -> None:
        """Close the file. The lock goes with the last process that has it open.

        That is what makes this right in a forked child, too, where unlocking would take the lock
        away from the parent.
        """
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # the host may have closed all that were open
                os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        """Delete the lock file, there being nothing left to protect, and close it."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self.drop()


def claim_new(directory: Path) -> Claim:
    """Make a name for this process that no other has, and lock it.

    Raises:
        OSError: The directory cannot be written, or knows no locks.
    """
    while True:
        path = directory / f"{os.getpid()}-{secrets.token_hex(4)}{LOCK}"
        descriptor = create_file(path)
        try:
            locked = _lock(path, descriptor)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        if locked:
            return Claim(path, descriptor)
        # Somebody who cleans up took the file between the two calls.
        os.close(descriptor)
        path.unlink(missing_ok=True)


def claim_dead(path: Path) -> Claim | None:
    """Lock the files of a process if nobody else has; None if somebody has, or they are gone.

    Raises:
        OSError: The lock file cannot be opened.
    """
    try:
        # Created if it is missing: segments without a lock file are nobody's, and two who want
        # them have to meet at one.
        descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
    except FileNotFoundError:
        return None
    if _lock(path, descriptor):
        return Claim(path, descriptor)
    os.close(descriptor)
    return None


def is_alive(path: Path) -> bool:
    """Whether somebody holds the lock of these files; looks without creating anything.

    Raises:
        OSError: The lock file cannot be opened.
    """
    try:
        descriptor = open_regular(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _lock(path, descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path, descriptor: int) -> bool:
    """Try to lock, and see that it is still the file of that name that was locked."""
    if _fcntl is None:
        raise OSError("this system has no flock")
    try:
        _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return is_at(path, descriptor)


def is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))


def lock_file(descriptor: int) -> None:
    """Lock a file that is held for no longer than it takes to change it; waits for others.

    Raises:
        OSError: It cannot be locked.
    """
    if _fcntl is not None:
        _fcntl.flock(descriptor, _fcntl.LOCK_EX)
