"""Locks on the files of a process.

The lock is an `flock`, which the kernel releases however the process dies. A process id in a file
would not do, because after a reboot it may belong to another process.
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
"""Whether the system has `flock`, without which there is no spool."""


class ProcessLock:
    """A held lock on the files of a process: this one or a dead one."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Wrap a lock file that is open and locked."""
        self.directory = path.parent
        self.process = path.name.removesuffix(LOCK)
        self._path = path
        self._descriptor = descriptor

    @property
    def is_gone(self) -> bool:
        """Whether the lock file was deleted, so that it no longer protects anything."""
        try:
            return os.fstat(self._descriptor).st_nlink == 0
        except OSError:  # the host closed all descriptors, which released the lock
            return True

    def release(self) -> None:
        """Close the file. The lock is released when the last process closes it.

        This is also correct in a forked child, where unlocking would release the parent's lock.
        """
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # the host may have closed all descriptors
                os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        """Delete and close the lock file, because nothing is left to protect."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self.release()


def lock_new_process(directory: Path) -> ProcessLock:
    """Create and lock a lock file with a name unique to this process.

    Raises:
        OSError: The directory is not writable, or does not support locks.
    """
    while True:
        path = directory / f"{os.getpid()}-{secrets.token_hex(4)}{LOCK}"
        descriptor = create_file(path)
        try:
            locked = _locked(path, descriptor)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        if locked is not None:
            return locked
        # Another process took the new file for a dead process's before it was locked.
        path.unlink(missing_ok=True)


def lock_dead_process(path: Path) -> ProcessLock | None:
    """Lock the files of a dead process. Return None if another process holds the lock.

    Raises:
        OSError: The lock file cannot be opened.
    """
    try:
        # Create it if missing: segments without a lock file belong to nobody, and processes that
        # compete for them need a common lock.
        descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
    except FileNotFoundError:
        return None
    return _locked(path, descriptor)


def _locked(path: Path, descriptor: int) -> ProcessLock | None:
    """Lock an open file, or close it."""
    try:
        if _lock(path, descriptor):
            return ProcessLock(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def is_alive(path: Path) -> bool:
    """Return whether a process holds this lock, without creating anything.

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
    """Try to lock. Return whether the lock is held and the file still has this path."""
    if _fcntl is None:
        raise OSError("this system has no flock")
    try:
        _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return is_same_file(path, descriptor)


def is_same_file(path: Path, descriptor: int) -> bool:
    """Return whether an open file is still the one at a path."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))


def lock_file(descriptor: int) -> None:
    """Lock a file for a short change, waiting for other holders.

    Raises:
        OSError: It cannot be locked.
    """
    if _fcntl is not None:
        _fcntl.flock(descriptor, _fcntl.LOCK_EX)
