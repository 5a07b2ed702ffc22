"""What a recorder has done so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Stats:
    """Counts of one recorder, since it was made or the process was forked.

    What is counted are operations: a run is three of them (registered, started, ended), a span two.
    """

    undelivered: int = 0
    """Operations that wait, those taken over from dead processes included."""
    delivered: int = 0
    """Operations that the server has taken."""
    dead_lettered: int = 0
    """Operations that the server refused for good; they are in the dead-letter file."""
    dropped: int = 0
    """Operations dropped because the journal was full or the recorder was closed."""
    corrected: int = 0
    """Names and texts that were changed to what the API takes; the log says which."""
    failures: int = 0
    """Failures of the recorder that the host was kept from."""
    requests: int = 0
    """Requests sent."""
    retries: int = 0
    """Requests of these that repeated something."""
    bytes_sent: int = 0
    """Bytes of their bodies, as sent."""
    worker_restarts: int = 0
    """How often the delivery thread had to be started again."""
    durability: str = "disk"
    """Where records are kept right now: `disk` or `memory`; `not started` before the first run,
    `off` if nothing is recorded."""
    paused: str | None = None
    """Why nothing is being delivered, such as a rejected token; None if nothing is in the way."""
    last_error: str | None = None
    """What the last failed delivery said; never a token."""
