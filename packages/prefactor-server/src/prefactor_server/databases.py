"""The database that the settings name: choosing a backend and opening it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from prefactor_server.domain.errors import NotFound, SettingError
from prefactor_server.settings import Settings
from prefactor_server.storage.migration import Migration
from prefactor_server.storage.postgres.backend import PostgresStorage
from prefactor_server.storage.postgres.connection import connect
from prefactor_server.storage.postgres.migrate import migrate as migrate_server
from prefactor_server.storage.postgres.migrate import pending_migrations as pending_on_server
from prefactor_server.storage.postgres.upkeep.backup import back_up_server
from prefactor_server.storage.sqlite.backend import SqliteStorage
from prefactor_server.storage.sqlite.connection import FileLock, open_reader, open_writer
from prefactor_server.storage.sqlite.migrate import all_migrations, migrate, pending_migrations
from prefactor_server.storage.sqlite.upkeep.backup import back_up_file

OpenStorage: TypeAlias = SqliteStorage | PostgresStorage

_FILE: Final = "sqlite:///"
_SERVERS: Final = ("postgresql://", "postgres://")


def is_on_server(database: str) -> bool:
    """Return whether the setting names a database server, which replicas can share."""
    return database.startswith(_SERVERS)


def database_path(database: str) -> Path:
    """Return the file that the setting names.

    Raises:
        SettingError: the setting does not name a file.
    """
    path = database.removeprefix(_FILE)
    if not database.startswith(_FILE) or path in ("", ":memory:"):
        raise SettingError(
            f"--database must be {_FILE} and the path of a file, or {_SERVERS[0]} and the address "
            f"of a database, got {shown_database(database)!r}"
        )
    return Path(path)


def shown_database(database: str) -> str:
    """Return the setting without its password, for display."""
    try:
        parts = urlsplit(database)
    except ValueError:
        return "an address that cannot be read"
    if "@" not in parts.netloc and "password" not in parts.query:
        return database
    login, at, host = parts.netloc.rpartition("@")
    user = f"{login.partition(':')[0]}:..." if at else "..."
    return urlunsplit((parts.scheme, f"{user}@{host}", parts.path, "", ""))


def existing_database_file(database: str) -> Path:
    """Return the file that the setting names, which must exist.

    Raises:
        SettingError: the setting does not name a file.
        NotFound: the file does not exist.
    """
    path = database_path(database)
    if not path.exists():
        raise NotFound(f"There is no database {database}: start the server once first")
    return path


async def open_storage(settings: Settings) -> OpenStorage:
    """Open the database for a server, and bring its schema up to date.

    Raises:
        SettingError: the setting does not name a database, or ``read_database`` not a standby.
        DatabaseError: the database cannot be used, was written by a newer server, or is a file in
            use by another server.
    """
    read_url = settings.read_database
    if is_on_server(settings.database):
        if read_url and not is_on_server(read_url):
            raise SettingError(
                f"--read-database must be {_SERVERS[0]} and the address of a standby of "
                f"--database, got {shown_database(read_url)!r}"
            )
        return await PostgresStorage.open(settings.database, read_url=read_url)
    if read_url:
        raise SettingError(
            f"--read-database needs a --database that begins with {_SERVERS[0]}: a file has no "
            "standby. Leave it out, or move to PostgreSQL"
        )
    return SqliteStorage.open(
        database_path(settings.database), min_free_disk_bytes=settings.min_free_disk_bytes
    )


async def open_alongside(settings: Settings) -> OpenStorage:
    """Open an existing database for a command that runs alongside a server.

    Raises:
        SettingError, DatabaseError: see ``open_storage``.
        NotFound: the file does not exist.
    """
    if is_on_server(settings.database):
        return await PostgresStorage.open(settings.database, concurrency=1, readers=1)
    # A running server allows short writes between its own.
    return SqliteStorage.open(
        existing_database_file(settings.database),
        exclusive=False,
        min_free_disk_bytes=settings.min_free_disk_bytes,
    )


def back_up_database(database: str, target: Path, environ: Mapping[str, str]) -> None:
    """Copy a database in use to a new file, and verify the copy by reading it.

    Raises:
        SettingError: the setting does not name a database.
        NotFound: the file does not exist.
        DatabaseError: the copy failed.
    """
    if is_on_server(database):
        back_up_server(database, target, environ)
    else:
        back_up_file(existing_database_file(database), target)


async def migrate_database(database: str, *, dry_run: bool) -> Sequence[Migration]:
    """Bring a database's schema up to date, and return the applied migrations.

    With ``dry_run``, only return the migrations that would be applied.

    Raises:
        SettingError, DatabaseError: see ``open_storage``.
    """
    if is_on_server(database):
        connection = await connect(database)
        try:
            work = pending_on_server if dry_run else migrate_server
            return await work(connection)
        finally:
            await connection.close()
    path = database_path(database)
    return _pending_in_file(path) if dry_run else _migrate_file(path)


def _pending_in_file(path: Path) -> Sequence[Migration]:
    if not path.exists():
        return all_migrations()
    reader = open_reader(path)
    try:
        return pending_migrations(reader)
    finally:
        reader.close()


def _migrate_file(path: Path) -> Sequence[Migration]:
    lock = FileLock(path).acquire()
    try:
        writer = open_writer(path)
        try:
            return migrate(writer)
        finally:
            writer.close()
    finally:
        lock.release()
