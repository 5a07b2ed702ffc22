"""The ways a command ends: its exit codes and its own errors."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
NOT_PERMITTED: Final = 4
UNREACHABLE: Final = 5
INTERRUPTED: Final = 130
"""128 + SIGINT, as shells report it."""
OUTPUT_CLOSED: Final = 141
"""128 + SIGPIPE: the program reading the output has exited, as `head` does."""


class Failure(Exception):
    """A command failed. The message is one line that says what to do."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        """Store the message and the exit code."""
        super().__init__(message)
        self.code = code
