"""What delivery has to be told, and whom it tells what it learns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """Where records go, and how patiently. Times are seconds, sizes bytes."""

    api_url: str
    """Base URL of the API."""
    api_token: str = field(repr=False)
    """The bearer token."""
    request_timeout: float = 30.0
    """How long one request may take."""
    connect_timeout: float = 10.0
    """How long it may take to connect."""
    batch_items: int = 1000
    """Items of one request at most; the API takes no more."""
    batch_bytes: int = 4 * 2**20
    """Bytes of one request at most, unless one item alone has more."""
    interval: float = 0.25
    """Between two requests that are not full."""
    requests_in_flight: int = 4
    """Requests that are under way at the same time at most."""
    window: int = 8 * 2**20
    """Bytes of records that are read from the journal and not delivered yet."""
    poll_interval: float = 30.0
    """How long an open run may go without a word from the server before it is asked for."""
    adopt_interval: float = 30.0
    """How often an idle thread looks after the journal, which then looks for orphans."""
    probe_interval: float = 60.0
    """How often a rejected token is tried again."""
    exit_timeout: float = 2.0
    """How long `close` waits when it is not told."""
    ssl: Any = field(default=None, repr=False)
    """TLS settings as aiohttp takes them."""
    proxy: str | None = field(default=None, repr=False)
    """URL of a proxy."""


class Listener(Protocol):
    """Hears what the server says about runs. Called by the delivery thread; must not block."""

    def terminated(self, run_id: str, reason: str | None) -> None:
        """The run was terminated on the server. May be told more than once."""
        ...

    def open_runs(self) -> Collection[str]:
        """Ids of the runs that are under way in this process."""
        ...
