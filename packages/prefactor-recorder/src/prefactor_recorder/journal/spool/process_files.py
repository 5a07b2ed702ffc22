"""The directory a journal writes to: made, locked and named when the first segment is wanted."""

from __future__ import annotations

import contextlib
from itertools import count
from typing import TYPE_CHECKING

from prefactor_recorder.journal.spool.identity import Identity, read_identity, write_identity
from prefactor_recorder.journal.spool.paths import account_directory, is_private, make_private
from prefactor_recorder.journal.spool.process_lock import CAN_LOCK, Claim, claim_new
from prefactor_recorder.journal.spool.segment import SEGMENT, Segment, create_segment

if TYPE_CHECKING:
    from pathlib import Path


class SpoolFiles:
    """One process's files in the directory of one account."""

    def __init__(self, root: Path | None, api_url: str, api_token: str) -> None:
        """Choose the place and touch nothing.

        Args:
            root: The root of the spool; None if no home is known to put it in.
            api_url: The API that records are delivered to.
            api_token: The token they are delivered with.
        """
        self.directory = account_directory(root, api_url, api_token) if root else None
        self.claim: Claim | None = None
        self._root = root
        self._api_url = api_url
        self._account_id: str | None = None
        self._numbers = count(1)

    @property
    def process(self) -> str | None:
        """The name that this process's files begin with, once there are some."""
        return self.claim.process if self.claim else None

    def create_segment(self) -> Segment:
        """A new segment, in a directory that is ours alone.

        Raises:
            OSError: There is no place for it; the message says what to do.
        """
        claim = self.claim or self._open()
        return create_segment(claim.directory / f"{claim.process}-{next(self._numbers)}{SEGMENT}")

    @property
    def account_id(self) -> str | None:
        """Whose data this is, as far as it is known."""
        if self._account_id is None and self.directory:
            self._account_id = read_identity(self.directory).account_id
        return self._account_id

    def learn_account(self, account_id: str) -> None:
        """Write down whose data this is, so that it is found again under another token."""
        self._account_id = account_id
        if self.directory and is_private(self.directory):
            self._identify(self.directory)

    def is_gone(self) -> bool:
        """Whether somebody deleted the lock file, and with it perhaps all of the directory."""
        return self.claim is not None and self.claim.is_gone

    def drop(self) -> None:
        """Let go of the lock; what was written is for somebody else to deliver."""
        if self.claim:
            self.claim.drop()
        self.claim = None

    def remove(self) -> None:
        """Let go of the lock, having left nothing."""
        if self.claim:
            self.claim.remove()
        self.claim = None

    def _open(self) -> Claim:
        if self._root is None or self.directory is None:
            raise OSError("no home directory is known; set PREFACTOR_SPOOL_DIR")
        if not CAN_LOCK:
            raise OSError("this system has no flock")
        make_private(self._root, self.directory)
        self._identify(self.directory)
        self.claim = claim_new(self.directory)
        return self.claim

    def _identify(self, directory: Path) -> None:
        known = read_identity(directory)
        wanted = Identity(self._api_url, known.account_id or self._account_id)
        if known != wanted:
            # Without it the data is delivered all the same; only a new token would not find it.
            with contextlib.suppress(OSError):
                write_identity(directory, wanted)
