"""The rules for ids and idempotency keys that clients choose."""

from __future__ import annotations

import re
from typing import Final

MAX_KEY_LENGTH: Final = 128
MIN_BULK_KEY_LENGTH: Final = 8

RESERVED_IDS: Final = ("show", "facets", "template", "heartbeat", "events", "export")
"""Words that are, or may become, path segments in the place of ids. They cannot be new ids."""

# Ids from clients are opaque: another server, a library or a person made them.
_CLIENT_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,64}\Z")


def is_client_id(text: str) -> bool:
    """Return whether a client may choose this text as an id."""
    return _CLIENT_ID.match(text) is not None


def is_new_id(text: str) -> bool:
    """Return whether a client may choose this text as the id of a new row."""
    return is_client_id(text) and text not in RESERVED_IDS


def is_key(text: str) -> bool:
    """Return whether a client may use this text as an idempotency key.

    Only printable characters are allowed, because people must be able to compare keys, and a NUL
    would end the key early in some databases.
    """
    return 0 < len(text) <= MAX_KEY_LENGTH and text.isprintable()


CLIENT_ID_RULE: Final = "must be 1 to 64 letters, digits or any of _ . : -"
NEW_ID_RULE: Final = f"{CLIENT_ID_RULE}, and none of {', '.join(RESERVED_IDS)}"
KEY_RULE: Final = f"must be 1 to {MAX_KEY_LENGTH} printable characters"
