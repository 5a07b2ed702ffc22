"""Statistics of delivery."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class DeliveryStats:
    """Counts since the process started. Written by the delivery thread, read by any thread."""

    delivered: int = 0
    """Records that the server accepted."""
    dead_lettered: int = 0
    """Records that became dead letters."""
    corrected: int = 0
    """Rejected registrations that were changed to be accepted."""
    requests: int = 0
    """Requests sent, failed ones included."""
    retries: int = 0
    """Requests that failed as a whole, and items that failed for a temporary reason."""
    bytes_sent: int = 0
    """Bytes of request bodies, as sent (compressed or not)."""
    worker_restarts: int = 0
    """How often the delivery thread had to be restarted."""
    last_error: str | None = None
    """The last error as text; None if there was none."""
    paused: str | None = None
    """Why delivery is paused; None if it is not."""
