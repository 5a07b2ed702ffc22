"""Discovers numbered SQL migrations, and plans those that a database needs.

A migration is a file ``NNNN_what_it_does.sql`` in a backend's folder. Once applied it never
changes: its checksum is stored in the database and compared at every start.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Final, NamedTuple

_FILE_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql\Z")


class DatabaseError(Exception):
    """A database cannot be opened. The message says what to do. Base of all such errors."""


class MigrationError(DatabaseError):
    """The database cannot be migrated to this version. The message says why."""


class Migration(NamedTuple):
    """One step of the schema."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """A digest of the SQL, to detect that an applied step was edited."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def discover(package: str) -> Sequence[Migration]:
    """Return the migrations in a package's folder, in order."""
    found: list[Migration] = []
    for entry in files(package).iterdir():
        match = _FILE_NAME.match(entry.name)
        if match is not None:
            sql = entry.read_text(encoding="utf-8")
            found.append(Migration(int(match.group(1)), match.group(2), sql))
    return sorted(found)


def plan(known: Sequence[Migration], applied: Mapping[int, str]) -> Sequence[Migration]:
    """Return the migrations to apply.

    Args:
        known: the migrations of this version of the server.
        applied: the checksums of those in the database, by version.

    Raises:
        MigrationError: the database is newer than this server, or its history differs.
    """
    by_version = {migration.version: migration for migration in known}
    for version, checksum in sorted(applied.items()):
        migration = by_version.get(version)
        if migration is None:
            raise MigrationError(
                f"The database has migration {version}, which this version of prefactor-server "
                "does not know: a newer version applied it. Install that one, or restore a backup."
            )
        if migration.checksum != checksum:
            raise MigrationError(
                f"Migration {version} ({migration.name}) is not the one that was applied to the "
                "database: a released migration must never be edited."
            )
    return [migration for migration in known if migration.version not in applied]
