"""Deleting from a spool: what is of no use any more, or what the user does not want delivered."""

from __future__ import annotations

import contextlib
import enum
from typing import TYPE_CHECKING

from prefactor_recorder.journal.spool.dead_letters import LETTERS
from prefactor_recorder.journal.spool.identity import IDENTITY
from prefactor_recorder.journal.spool.process_lock import LOCK, claim_dead

if TYPE_CHECKING:
    from pathlib import Path

    from prefactor_recorder.cli.inspect import AccountFiles, ProcessFiles


class Scope(enum.Enum):
    """What is to go."""

    LEFTOVERS = "leftovers"
    """Files of dead processes of which everything is delivered."""
    LETTERS = "dead letters"
    """The same, and the dead letters."""
    ALL = "everything"
    """The same, and what is not delivered."""


def doomed(process: ProcessFiles, scope: Scope) -> list[Path]:
    """The files of a dead process that would go, in the order in which they may."""
    return [path for path in process.files if _goes(path, process, scope)]


def _goes(path: Path, process: ProcessFiles, scope: Scope) -> bool:
    if path.suffix == LETTERS:
        return scope is not Scope.LEFTOVERS
    return scope is Scope.ALL or not process.undelivered


def remove(process: ProcessFiles, scope: Scope) -> bool:
    """Delete files of a dead process; False if it is not dead after all.

    Raises:
        OSError: A file cannot be deleted.
    """
    claim = claim_dead(process.directory / f"{process.name}{LOCK}")
    if claim is None:
        return False
    # Nobody can have added anything since it was looked at: it was dead then.
    try:
        for path in doomed(process, scope):
            path.unlink(missing_ok=True)
    finally:
        # Without segments there is nothing left to lock.
        if _there(process.segments):
            claim.drop()
        else:
            claim.remove()
    return True


def remove_directory(account: AccountFiles) -> None:
    """Delete the directory of an account if only its name is left in it."""
    with contextlib.suppress(OSError):
        if [path.name for path in account.directory.iterdir()] == [IDENTITY]:
            (account.directory / IDENTITY).unlink()
            account.directory.rmdir()
            account.directory.parent.rmdir()


def _there(paths: list[Path]) -> list[Path]:
    return [path for path in paths if path.exists()]
