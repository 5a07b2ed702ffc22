"""Deleting files of dead processes from a spool."""

from __future__ import annotations

import contextlib
import enum
from typing import TYPE_CHECKING

from prefactor_recorder.journal.spool.dead_letters import DEAD_LETTERS
from prefactor_recorder.journal.spool.identity import (
    IDENTITY,
    Identity,
    read_identity,
    write_identity,
)
from prefactor_recorder.journal.spool.process_lock import LOCK, lock_dead_process

if TYPE_CHECKING:
    from pathlib import Path

    from prefactor_recorder.cli.inspect import AccountFiles, ProcessFiles


class Scope(enum.Enum):
    """What to delete."""

    LEFTOVERS = "leftovers"
    """Files of dead processes whose records are all delivered."""
    DEAD_LETTERS = "dead letters"
    """Leftovers and dead letters."""
    ALL = "everything"
    """Leftovers, dead letters and undelivered records."""


def files_to_delete(process: ProcessFiles, scope: Scope) -> list[Path]:
    """Return the files of a dead process to delete, in a safe order."""
    return [path for path in process.files if _is_in_scope(path, process, scope)]


def _is_in_scope(path: Path, process: ProcessFiles, scope: Scope) -> bool:
    if path.suffix == DEAD_LETTERS:
        return scope is not Scope.LEFTOVERS
    return scope is Scope.ALL or not process.undelivered


def remove(process: ProcessFiles, scope: Scope) -> bool:
    """Delete files of a dead process. Return False if it turns out not to be dead.

    Raises:
        OSError: A file cannot be deleted.
    """
    process_lock = lock_dead_process(process.directory / f"{process.name}{LOCK}")
    if process_lock is None:
        return False
    # The process was dead when it was inspected, so nothing was added since.
    try:
        for path in files_to_delete(process, scope):
            path.unlink(missing_ok=True)
    finally:
        # Without segments there is nothing left to protect.
        if _existing(process.segments):
            process_lock.release()
        else:
            process_lock.remove()
    return True


def remove_directory(account: AccountFiles) -> None:
    """Delete the directory of an account if only its identity is left.

    A process that starts meanwhile keeps the directory and its identity: it locks a file there
    before it looks for the identity, and the identity is put back here if the directory is in use.
    """
    directory = account.directory
    with contextlib.suppress(OSError):
        if [path.name for path in directory.iterdir()] == [IDENTITY]:
            identity = read_identity(directory)
            (directory / IDENTITY).unlink()
            try:
                directory.rmdir()
            except BaseException:
                _put_back(directory, identity)
                raise
            directory.parent.rmdir()


def _put_back(directory: Path, identity: Identity) -> None:
    """Restore what a directory's identity lacks. The process in it may have written one."""
    known = read_identity(directory)
    restored = Identity(known.api_url or identity.api_url, known.account_id or identity.account_id)
    if restored != known:
        with contextlib.suppress(OSError):
            write_identity(directory, restored)


def _existing(paths: list[Path]) -> list[Path]:
    return [path for path in paths if path.exists()]
