"""The blocks of an event stream as they are sent, except those about changed rows."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

ReloadReason: TypeAlias = Literal[
    "unknown_position", "too_far_behind", "too_slow", "too_many_changes"
]

RETRY: Final = b"retry: 1000\n"
"""How soon a disconnected browser reconnects, in milliseconds. Part of the first event."""


def ready_message(position: int) -> bytes:
    """Return the first event of a stream."""
    return b"id: %d\nevent: ready\ndata: {}\n\n" % position


def reload_message(position: int, reason: ReloadReason) -> bytes:
    """Return the event that asks a subscriber to read everything again."""
    return b'id: %d\nevent: reload\ndata: {"reason":"%b"}\n\n' % (position, reason.encode())


def heartbeat_message(position: int) -> bytes:
    """Return the comment that keeps the stream alive and advances the position."""
    return b": heartbeat\nid: %d\n\n" % position
