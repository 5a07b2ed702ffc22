"""Whose data a directory of the spool holds: `identity.json`, for those who come later."""

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
    """An API, and the account at it once the server has named it."""

    api_url: str | None = None
    account_id: str | None = None


def read_identity(directory: Path) -> Identity:
    """What is known about a directory; nothing, if its file is missing or is not what we write."""
    try:
        found: Any = orjson.loads(read_file(directory / IDENTITY))
    except (OSError, orjson.JSONDecodeError):
        return Identity()
    try:
        return Identity(*(_text(found.get(name)) for name in Identity._fields))
    except AttributeError:
        return Identity()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def write_identity(directory: Path, identity: Identity) -> None:
    """Replace what is known about a directory, all at once.

    Raises:
        OSError: It cannot be written.
    """
    temporary = directory / f"{IDENTITY}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    with os.fdopen(create_file(temporary), "wb") as file:
        file.write(orjson.dumps(identity._asdict()) + b"\n")
    temporary.replace(directory / IDENTITY)
