"""What delivery has done so far, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class DeliveryStats:
    """Counts since the process began. Written by the delivery thread, read by anyone."""

    delivered: int = 0
    """Records that the server has taken."""
    buried: int = 0
    """Records that were put with the dead letters."""
    corrected: int = 0
    """Registrations that were refused and changed so that the server takes them."""
    requests: int = 0
    """Requests sent, the failed ones included."""
    retries: int = 0
    """Requests that failed as a whole and items that failed for a reason that may pass."""
    bytes_sent: int = 0
    """Bytes of request bodies, as they went over the wire."""
    worker_restarts: int = 0
    """How often the delivery thread had to be started again."""
    last_error: str | None = None
    """What went wrong last, in words; None when nothing ever did."""
    paused: str | None = None
    """Why nothing is delivered for now although there is a server; None while it is."""
