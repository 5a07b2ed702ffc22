"""Where the spool is stored, and checks that nobody else can read or replace it."""

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
"""The flag that makes `open` fail on a symbolic link."""
_NON_BLOCKING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


class UnsafeDirectory(OSError):
    """A spool directory belongs to another user, or is not a directory."""


def default_directory(
    environ: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> Path | None:
    """Return the platform's directory for program state, or None without a home directory."""
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - raises nothing
    if not os.path.isabs(home):  # noqa: PTH117 - `~` itself, when no home is known
        return None
    if platform == "darwin":
        return Path(home, "Library", "Application Support", "prefactor")
    state = environ.get("XDG_STATE_HOME", "")
    # The XDG specification says to ignore relative paths.
    return Path(state if state.startswith("/") else Path(home, ".local", "state"), "prefactor")


def account_directory(root: Path, api_url: str, api_token: str) -> Path:
    """Return the directory of a token at an API. Its path reveals neither URL nor token.

    A trailing slash of the URL makes no difference.
    """
    return root / _digest(api_url.rstrip("/")) / _digest(api_token)


def create_private(root: Path, directory: Path) -> None:
    """Create a directory below the spool's root, or check an existing one.

    Raises:
        UnsafeDirectory: It belongs to another user, or is not a directory.
        OSError: It cannot be created.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(root, owners=(0, os.geteuid()))
    for path in (*reversed(directory.relative_to(root).parents[:-1]), directory.relative_to(root)):
        (root / path).mkdir(mode=0o700, exist_ok=True)
        check_private(root / path)
        # For existing directories as well, because their content is private.
        (root / path).chmod(0o700)


def check_private(directory: Path, owners: tuple[int, ...] | None = None) -> None:
    """Check that a path is a directory owned by this user or by one of `owners`.

    Raises:
        UnsafeDirectory: It is not.
        OSError: It cannot be examined.
    """
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeDirectory(f"{directory} is not a directory: choose another for the spool")
    if found.st_uid not in (owners or (os.geteuid(),)):
        raise UnsafeDirectory(
            f"{directory} belongs to user {found.st_uid}: use a directory of your own"
        )


def is_private(directory: Path) -> bool:
    """Return whether a directory exists and belongs to this user."""
    try:
        check_private(directory)
    except OSError:
        return False
    return True


def is_regular(path: Path) -> bool:
    """Return whether a path is a regular file, not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def open_regular(path: Path, flags: int) -> int:
    """Open a regular file, private to its owner. Return the descriptor.

    Other kinds of files are not opened, because opening a FIFO blocks and opening a device can do
    anything. A file that is replaced between the check and the open is closed again.

    Raises:
        FileNotFoundError: It does not exist, and `flags` do not create it.
        OSError: It is not a regular file, or cannot be opened.
    """
    with contextlib.suppress(FileNotFoundError):
        _require_regular(path, path.lstat())
    descriptor = os.open(path, flags | NO_FOLLOW | _NON_BLOCKING, 0o600)
    try:
        _require_regular(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path} is not a regular file: remove it, it holds no spool data")


def create_file(path: Path) -> int:
    """Create a file for appending, private to its owner. Return the descriptor.

    Raises:
        OSError: It exists, or cannot be created.
    """
    return open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)


def append_file(path: Path) -> int:
    """Open a file for appending, creating it if needed. Return the descriptor.

    Raises:
        OSError: It cannot be opened.
    """
    return open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)


def read_file(path: Path) -> bytes:
    """Read a file. Return nothing if it does not exist.

    Raises:
        OSError: It exists and cannot be read.
    """
    try:
        descriptor = open_regular(path, os.O_RDONLY)
    except FileNotFoundError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
