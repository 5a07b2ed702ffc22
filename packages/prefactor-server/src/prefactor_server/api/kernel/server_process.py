"""The state of the server process, which the API shows to operators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from prefactor_server.api.asgi.request_events import RequestEvent

_OVERLOAD: Final = frozenset({429, 503})
_FAILED: Final = 500


@dataclass(slots=True)
class RequestTally:
    """The number of requests answered since the process began.

    ``rejected`` counts those to be retried, because of a limit or an unavailable database.
    ``failed`` counts errors of the server.
    """

    answered: int = 0
    rejected: int = 0
    failed: int = 0

    def add(self, event: RequestEvent) -> None:
        """Count a request."""
        self.answered += 1
        self.rejected += event.status in _OVERLOAD
        self.failed += event.status == _FAILED


async def _always_ready() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProcess:
    """The process. ``problem`` returns why it accepts no writes now, or None.

    ``max_connections`` and ``max_queue_bytes`` are 0 for no limit.
    """

    started_at: int
    problem: Callable[[], Awaitable[str | None]] = _always_ready
    connections: Callable[[], int] = lambda: 0
    max_connections: int = 0
    max_queue_bytes: int = 0
    requests: RequestTally = field(default_factory=RequestTally)
    host: str = ""
    pid: int = 0
