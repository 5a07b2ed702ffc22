"""Idempotency keys: what makes it safe to send a write twice.

Every typed write carries one key, the caller's or a generated one, the same on all attempts.
"""

from __future__ import annotations

from uuid import uuid4

from .exceptions import PrefactorRequestError

LONGEST_KEY = 64
"""Characters."""
_UUID_LENGTH = 36


def idempotency_key(given: str | None, prefix: str | None = None) -> str:
    """The key of one operation: the given one, else a new one.

    A new key is a UUID, after the prefix and a hyphen if there is a prefix. A prefix that would
    make it longer than 64 characters is cut, and not the UUID, which is what makes keys unique.

    Raises:
        ValueError: The given key is longer than 64 characters.
        PrefactorRequestError: The given key holds a line break or another control character,
            which no header can carry.
    """
    if given is None:
        fresh = str(uuid4())
        return f"{prefix[: LONGEST_KEY - _UUID_LENGTH - 1]}-{fresh}" if prefix else fresh
    if len(given) > LONGEST_KEY:
        message = f"Idempotency key must be at most {LONGEST_KEY} characters, got {len(given)}"
        raise ValueError(message)
    if not given.isprintable():
        message = f"Idempotency key must be printable, got {given!r}"
        raise PrefactorRequestError(message, "idempotency_key")
    return given
