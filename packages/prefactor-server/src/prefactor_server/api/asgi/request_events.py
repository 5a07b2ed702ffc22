"""Events about answered requests, for metrics and logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias


class RequestEvent(NamedTuple):
    """One answered request. It contains nothing that the client sent.

    ``operation`` is empty if the request matched none, and ``code`` if it was not rejected.
    ``seconds`` excludes the time to send the response.
    """

    request_id: str
    method: str
    operation: str
    status: int
    code: str
    seconds: float


RequestObserver: TypeAlias = Callable[[RequestEvent], None]
"""Called once per answered request. It must be quick and must not raise."""
