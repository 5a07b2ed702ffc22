"""The files of an open database, and whether their paths still refer to them.

SQLite continues to write to a file that was deleted, replaced or moved, and those writes are lost
at the next start. Paths are compared by ``os.stat`` and never opened, because closing a descriptor
of a database would release the locks that SQLite holds on it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from prefactor_server.domain.errors import DatabaseUnusable, OutcomeUnknown, Unavailable

_PARTS: Final = (
    ("database file", ""),
    ("write-ahead log (the file that ends in -wal)", "-wal"),
    ("index of the write-ahead log (the file that ends in -shm)", "-shm"),
)
_REMEDY: Final = (
    "Put it back, or stop the server with SIGTERM (it then saves what its open log holds) and "
    "start it on a sound file"
)


class _Part(NamedTuple):
    """One file: its name, its expected path, and its identity."""

    what: str
    path: str
    device: int
    inode: int


def check_free_disk(folder: str, min_free_bytes: int) -> None:
    """Check that a database in a folder can grow.

    Raises:
        DatabaseUnusable: its disk is read-only.
        Unavailable: its disk is nearly full.
    """
    disk = os.statvfs(folder)
    if disk.f_flag & os.ST_RDONLY:
        raise DatabaseUnusable(
            "The server's disk is read-only: nothing was stored. Mount it for writing again"
        )
    free = disk.f_bavail * disk.f_frsize
    if free < min_free_bytes:
        raise Unavailable(
            f"The server's disk has {free} bytes left, less than min_free_disk_bytes "
            f"({min_free_bytes}): nothing was stored. Free space, then send it again"
        )


class OpenFiles:
    """The files of an open database.

    Create it while the database is open in WAL mode and has been read, because its log does not
    exist before that.
    """

    def __init__(self, path: Path) -> None:
        self._parts = [_part(what, f"{path}{ending}") for what, ending in _PARTS]
        self._sizes = self.check()

    def check(self) -> Sequence[int]:
        """Check that every path refers to the open file. Return the sizes of the files.

        Raises:
            DatabaseUnusable: a path does not.
        """
        found = self._look()
        if isinstance(found, str):
            raise DatabaseUnusable(f"{found}: nothing was stored. {_REMEDY}")
        return found

    def check_after_commit(self) -> None:
        """Check that the last commit is in the files that the next start reads.

        Raises:
            OutcomeUnknown: it may be lost with its file.
        """
        found = self._look()
        if isinstance(found, str):
            raise OutcomeUnknown(f"{found}: the last write may be lost. {_REMEDY}")

    def have_shrunk(self, sizes: Sequence[int]) -> tuple[bool, bool]:
        """Return whether the database and its log are smaller than at the last call."""
        before, self._sizes = self._sizes, sizes
        return sizes[0] < before[0], sizes[1] < before[1]

    def _look(self) -> list[int] | str:
        """Return the sizes of the files, or what is wrong with a path."""
        sizes: list[int] = []
        for part in self._parts:
            try:
                found = os.stat(part.path)  # noqa: PTH116 - twice a commit: a path object costs more
            except OSError as error:
                reason = error.strerror or type(error).__name__
                return f"The server's {part.what} was moved or deleted ({reason})"
            if (found.st_dev, found.st_ino) != (part.device, part.inode):
                return f"The server's {part.what} was replaced while it was open"
            sizes.append(found.st_size)
        return sizes


def _part(what: str, path: str) -> _Part:
    found = os.stat(path)  # noqa: PTH116 - as there
    return _Part(what, path, found.st_dev, found.st_ino)
