"""The counters of a recorder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Stats:
    """Counters of one recorder, since its creation or the last fork.

    They count operations. A run is three operations (register, start, finish), a span is two.
    """

    undelivered: int = 0
    """Operations waiting for delivery, including those adopted from dead processes."""
    delivered: int = 0
    """Operations that the server accepted."""
    dead_lettered: int = 0
    """Operations that the server will never accept. They are in the dead-letter file."""
    dropped: int = 0
    """Operations dropped because the journal was full or the recorder was closed."""
    corrected: int = 0
    """Names and texts changed to what the API accepts. The log says which."""
    failures: int = 0
    """Failures of the recorder that were kept away from the host."""
    requests: int = 0
    """Requests sent."""
    retries: int = 0
    """Requests that failed as a whole, and operations that failed for a temporary reason."""
    bytes_sent: int = 0
    """Bytes of the request bodies as sent."""
    worker_restarts: int = 0
    """Restarts of the delivery thread."""
    durability: str = "disk"
    """Where records are stored now: `disk` or `memory`; `not started` before the first run, `off`
    if nothing is recorded."""
    paused: str | None = None
    """Why delivery is paused, such as a rejected token; None if it is not."""
    last_error: str | None = None
    """Message of the last failed delivery. Never contains a token."""
