"""Where the spool lies, and that nobody else can read or replace it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIGITS = 16
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
"""The flag that refuses a symbolic link in the place of a file."""
_DO_NOT_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


class UnsafeDirectory(OSError):
    """A directory of the spool belongs to somebody else, or is a symbolic link."""


def default_directory(
    environ: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> Path | None:
    """The platform's place for what a program keeps; None if there is no home to put it in."""
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - raises nothing
    if not os.path.isabs(home):  # noqa: PTH117 - `~` itself, when no home is known
        return None
    if platform == "darwin":
        return Path(home, "Library", "Application Support", "prefactor")
    state = environ.get("XDG_STATE_HOME", "")
    # The specification of these variables has relative paths ignored.
    return Path(state if state.startswith("/") else Path(home, ".local", "state"), "prefactor")


def account_directory(root: Path, api_url: str, api_token: str) -> Path:
    """The directory of one account at one API; neither address nor token can be read off it.

    An address is the same with and without a slash at its end.
    """
    return root / _digest(api_url.rstrip("/")) / _digest(api_token)


def make_private(root: Path, directory: Path) -> None:
    """Create a directory below the root of the spool, or check the one that is there.

    Raises:
        UnsafeDirectory: Somebody else could have put it there.
        OSError: It cannot be created.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(root, owners=(0, os.geteuid()))
    for path in (*reversed(directory.relative_to(root).parents[:-1]), directory.relative_to(root)):
        (root / path).mkdir(mode=0o700, exist_ok=True)
        check_private(root / path)
        # Also one that was there before: what it holds is for its owner alone.
        (root / path).chmod(0o700)


def check_private(directory: Path, owners: tuple[int, ...] | None = None) -> None:
    """See that a directory is one, and belongs to this user or to one of those named.

    Raises:
        UnsafeDirectory: It does not.
        OSError: It cannot be looked at.
    """
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeDirectory(f"{directory} is not a directory: give the spool a place of its own")
    if found.st_uid not in (owners or (os.geteuid(),)):
        raise UnsafeDirectory(
            f"{directory} belongs to user {found.st_uid}: give the spool a directory of your own"
        )


def is_private(directory: Path) -> bool:
    """Whether a directory is there, and belongs to this user."""
    try:
        check_private(directory)
    except OSError:
        return False
    return True


def is_regular(path: Path) -> bool:
    """Whether a path names a regular file, and neither a link to one nor something else."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def open_regular(path: Path, flags: int) -> int:
    """Open a regular file for its owner alone; the descriptor.

    Opening a FIFO waits for its other end, and opening a device can do anything: what is not a
    regular file is not opened, and what becomes one meanwhile is closed again.

    Raises:
        FileNotFoundError: It does not exist, and `flags` do not ask to create it.
        OSError: It is not a regular file, or cannot be opened.
    """
    with contextlib.suppress(FileNotFoundError):
        _require_regular(path, path.lstat())
    descriptor = os.open(path, flags | NO_FOLLOW | _DO_NOT_WAIT, 0o600)
    try:
        _require_regular(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path} is not a regular file: remove it, nothing of the spool is in it")


def create_file(path: Path) -> int:
    """Open a new file to append to, for its owner alone; the descriptor.

    Raises:
        OSError: It is there already, or cannot be created.
    """
    return open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)


def append_file(path: Path) -> int:
    """Open a file to append to, created if need be; the descriptor.

    Raises:
        OSError: It cannot be opened.
    """
    return open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)


def read_file(path: Path) -> bytes:
    """All of a file; nothing if there is none.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        descriptor = open_regular(path, os.O_RDONLY)
    except FileNotFoundError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
