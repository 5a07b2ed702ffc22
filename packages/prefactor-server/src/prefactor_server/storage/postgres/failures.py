"""Classifies PostgreSQL's errors by the outcome of the transaction.

    lost       the connection broke or was never made: the outcome is unknown
    conflict   another server wrote first: nothing was stored, retry the decision
    refusal    the database cannot do it now: nothing was stored

Every other error is a bug and is raised unchanged.
"""

from __future__ import annotations

from typing import Final

from prefactor_server.domain.errors import (
    BadRequest,
    Contended,
    DatabaseDamaged,
    DatabaseUnusable,
    OutcomeUnknown,
    Refusal,
    Unavailable,
)
from prefactor_server.storage.postgres import driver

_UNIQUE_VIOLATION: Final = "23505"
_FOREIGN_KEY_VIOLATION: Final = "23503"
# Serialization failure, deadlock, unique violation and foreign key violation.
_CONFLICTS: Final = frozenset({"40001", "40P01", _UNIQUE_VIOLATION, _FOREIGN_KEY_VIOLATION})
# A NUL character, a number out of range, text for a number. asyncpg uses the same class for values
# that it refuses to send.
_BAD_VALUES: Final = "22"
# Shut down by an operator or a crash, starting up, idle for too long (also in a transaction), a
# transaction that took too long, too many connections; 08: connection failures.
_LOST: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300"})
_READ_ONLY: Final = "25006"
_EXPLANATIONS: Final = {
    "53100": "The database's disk is full: nothing was stored. Free space, then send it again",
    "53200": "The database is out of memory: nothing was stored. Send it again later",
    "57014": "The database took too long: nothing was stored. Send it again later",
    "55P03": "The database took too long: nothing was stored. Send it again later",
}
_RESTORE: Final = "nothing was stored. Look at PostgreSQL's log, and restore a backup"
# An operator must act before a retry. Classes XX and 58 are failures of PostgreSQL's own storage.
_UNUSABLE: Final = {
    _READ_ONLY: "The database is read-only: nothing was stored. Connect to the primary server",
    "3D000": "The database no longer exists: nothing was stored. Restore a backup, or point "
    "--database at the right one",
    "3F000": f"The schema of the database is missing: {_RESTORE}",
    "42P01": f"A table of the database is missing: {_RESTORE}",
    "28000": "The database refuses the login: nothing was stored. Check --database",
    "28P01": "The database refuses the password: nothing was stored. Check --database",
    "42501": "The database's user lacks a privilege: nothing was stored. Grant it what it needs",
    "58030": f"The database cannot read or write its files: {_RESTORE}",
    "58P01": f"A file of the database is missing: {_RESTORE}",
}
_DAMAGED: Final = {
    "XX001": f"The database is damaged: {_RESTORE}",
    "XX002": "An index of the database is damaged: nothing was stored. Run REINDEX, and look at "
    "PostgreSQL's log",
}


def is_lost(error: BaseException) -> bool:
    """Return whether the connection failed, rather than the statement."""
    code = driver.sqlstate(error)
    if code is not None:
        return code in _LOST or code.startswith("08")
    return driver.is_broken(error) or isinstance(error, OSError | TimeoutError)


def is_conflict(error: BaseException) -> bool:
    """Return whether the statement conflicted with another transaction."""
    return driver.sqlstate(error) in _CONFLICTS


def is_duplicate(error: BaseException) -> bool:
    """Return whether a row violated a unique index."""
    return driver.sqlstate(error) == _UNIQUE_VIOLATION


def refusal(error: BaseException) -> Refusal | None:
    """Return the error for the caller, or None if this is a bug."""
    code = driver.sqlstate(error) or ""
    if code in _DAMAGED:
        return DatabaseDamaged(_DAMAGED[code])
    if code in _UNUSABLE:
        return DatabaseUnusable(_UNUSABLE[code])
    explanation = _EXPLANATIONS.get(code)
    return None if explanation is None else Unavailable(explanation)


def is_read_only(error: BaseException) -> bool:
    """Return whether the server is read-only. After a failover, a new connection may not be."""
    return driver.sqlstate(error) == _READ_ONLY


def invalid_value(error: BaseException) -> Refusal | None:
    """Return the error for a filter or cursor value that no column can hold."""
    if (driver.sqlstate(error) or "").startswith(_BAD_VALUES):
        return BadRequest("A filter or a cursor has a value that no column can hold")
    return None


def contended() -> Contended:
    """Return the error for a batch that lost every conflict."""
    return Contended("Other servers keep changing the same rows: nothing was stored. Send it again")


def unreachable() -> Unavailable:
    """Return the error for a database that cannot be reached."""
    return Unavailable("The database cannot be reached: nothing was stored. Send it again later")


def unknown_outcome() -> OutcomeUnknown:
    """Return the error for a connection that was lost during the commit."""
    return OutcomeUnknown(
        "The connection was lost during the commit, so this may or may not have been stored. Send "
        "it again later, with the same idempotency key"
    )
