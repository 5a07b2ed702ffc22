"""`identity.json`, which tells later processes whose data a spool directory holds."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from prefactor_recorder.journal.spool.paths import create_file, read_file

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = "identity.json"


class Identity(NamedTuple):
    """The API, and the account once the server has reported it."""

    api_url: str | None = None
    account_id: str | None = None


def read_identity(directory: Path) -> Identity:
    """Read a directory's identity. Return an empty one if the file is missing or invalid."""
    try:
        found: Any = orjson.loads(read_file(directory / IDENTITY))
    except (OSError, orjson.JSONDecodeError):
        return Identity()
    try:
        return Identity(*(_string_or_none(found.get(name)) for name in Identity._fields))
    except AttributeError:
        return Identity()


def _string_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def write_identity(directory: Path, identity: Identity) -> None:
    """Replace a directory's identity atomically.

    Raises:
        OSError: It cannot be written.
    """
    temporary = directory / f"{IDENTITY}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    with os.fdopen(create_file(temporary), "wb") as file:
        file.write(orjson.dumps(identity._asdict()) + b"\n")
    temporary.replace(directory / IDENTITY)
