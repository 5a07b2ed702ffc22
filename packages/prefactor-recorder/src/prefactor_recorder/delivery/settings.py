"""Settings of delivery, and the listener it notifies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """Settings of delivery. Times are in seconds, sizes in bytes."""

    api_url: str
    """Base URL of the API."""
    api_token: str = field(repr=False)
    """The bearer token."""
    request_timeout: float = 30.0
    """Timeout of a request."""
    connect_timeout: float = 10.0
    """Timeout for connecting."""
    batch_items: int = 1000
    """Maximum items of a request; the API accepts no more."""
    batch_bytes: int = 4 * 2**20
    """Maximum bytes of a request, unless a single item is larger."""
    interval: float = 0.25
    """Interval between requests that are not full."""
    requests_in_flight: int = 4
    """Maximum requests in flight."""
    window: int = 8 * 2**20
    """Maximum bytes of records read from the journal and not delivered."""
    poll_interval: float = 30.0
    """How long an open run may go without a response before a server without heartbeats is
    polled."""
    heartbeat_interval: float = 60.0
    """Interval between heartbeats of the open runs."""
    adopt_interval: float = 30.0
    """How often an idle thread maintains the journal, which includes adopting orphans."""
    probe_interval: float = 60.0
    """How often a rejected token is retried."""
    exit_timeout: float = 2.0
    """How long `close` waits by default."""
    ssl: Any = field(default=None, repr=False)
    """TLS settings, as aiohttp accepts them."""
    proxy: str | None = field(default=None, repr=False)
    """URL of a proxy."""


class Listener(Protocol):
    """Is notified about runs. Called by the delivery thread; must not block."""

    def terminated(self, run_id: str, reason: str | None) -> None:
        """Handle a run that was terminated on the server. May be called repeatedly."""
        ...

    def open_runs(self) -> Collection[str]:
        """Return the ids of this process's open runs."""
        ...
