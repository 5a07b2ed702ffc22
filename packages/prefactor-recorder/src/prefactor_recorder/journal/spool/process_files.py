"""The files of this process, whose directory is created and locked for the first segment."""

from __future__ import annotations

import contextlib
from itertools import count
from typing import TYPE_CHECKING

from prefactor_recorder.journal.spool.identity import Identity, read_identity, write_identity
from prefactor_recorder.journal.spool.paths import account_directory, create_private, is_private
from prefactor_recorder.journal.spool.process_lock import CAN_LOCK, ProcessLock, lock_new_process
from prefactor_recorder.journal.spool.segment import SEGMENT, Segment, create_segment

if TYPE_CHECKING:
    from pathlib import Path


class SpoolFiles:
    """One process's files in the directory of an account."""

    def __init__(self, root: Path | None, api_url: str, api_token: str) -> None:
        """Choose the directory without touching it.

        Args:
            root: The root of the spool; None if there is no home directory.
            api_url: The API that records are delivered to.
            api_token: The token they are delivered with.
        """
        self.directory = account_directory(root, api_url, api_token) if root else None
        self.process_lock: ProcessLock | None = None
        self._root = root
        self._api_url = api_url
        self._account_id: str | None = None
        self._numbers = count(1)

    @property
    def process(self) -> str | None:
        """The prefix of this process's file names; None before the first segment."""
        return self.process_lock.process if self.process_lock else None

    def create_segment(self) -> Segment:
        """Create a segment in a private directory.

        Raises:
            OSError: It cannot be created; the message says what to do.
        """
        process_lock = self.process_lock or self._open()
        return create_segment(
            process_lock.directory / f"{process_lock.process}-{next(self._numbers)}{SEGMENT}"
        )

    @property
    def account_id(self) -> str | None:
        """The account that the data belongs to, if known."""
        if self._account_id is None and self.directory:
            self._account_id = read_identity(self.directory).account_id
        return self._account_id

    def learn_account(self, account_id: str) -> None:
        """Store the account of the data, so that it is found again under another token."""
        self._account_id = account_id
        if self.directory and is_private(self.directory):
            self._identify(self.directory)

    def is_gone(self) -> bool:
        """Whether the lock file was deleted, perhaps with the whole directory."""
        return self.process_lock is not None and self.process_lock.is_gone

    def release(self) -> None:
        """Release the lock, so that another process can deliver the files."""
        if self.process_lock:
            self.process_lock.release()
        self.process_lock = None

    def remove(self) -> None:
        """Release the lock and delete the lock file, because no other files are left."""
        if self.process_lock:
            self.process_lock.remove()
        self.process_lock = None

    def _open(self) -> ProcessLock:
        if self._root is None or self.directory is None:
            raise OSError("no home directory is known; set PREFACTOR_SPOOL_DIR")
        if not CAN_LOCK:
            raise OSError("this system has no flock")
        try:
            self.process_lock = _lock_in(self._root, self.directory)
        except FileNotFoundError:
            # `prefactor-spool rm` has just deleted the directory.
            self.process_lock = _lock_in(self._root, self.directory)
        # After the lock file, which keeps `prefactor-spool rm` from deleting both.
        self._identify(self.directory)
        return self.process_lock

    def _identify(self, directory: Path) -> None:
        known = read_identity(directory)
        identity = Identity(self._api_url, known.account_id or self._account_id)
        if known != identity:
            # Without it the data is still delivered, but not found under a new token.
            with contextlib.suppress(OSError):
                write_identity(directory, identity)


def _lock_in(root: Path, directory: Path) -> ProcessLock:
    create_private(root, directory)
    return lock_new_process(directory)
