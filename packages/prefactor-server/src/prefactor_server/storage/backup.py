"""Backups of a database: the part that both backends share."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from prefactor_server.storage.migration import DatabaseError


class BackupError(DatabaseError):
    """The backup failed. The message says why, and what to do."""


@contextmanager
def new_file(target: Path) -> Generator[Path]:
    """Yield a temporary file for a copy. It gets its name once it is complete and on disk.

    Only its owner can read it. An incomplete file is removed.

    Raises:
        BackupError: the file already exists, or cannot be created.
    """
    if target.exists():
        raise BackupError(f"{target} already exists: name another file, or remove it first")
    draft = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise BackupError(f"Cannot write {draft}: {error.strerror}") from error
    try:
        yield draft
        _flush(draft)
        draft.replace(target)
        _flush(target.parent)
    finally:
        draft.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
