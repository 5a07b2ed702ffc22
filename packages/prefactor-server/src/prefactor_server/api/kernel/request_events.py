"""What the API tells about the requests that it answered, to whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias


class RequestEvent(NamedTuple):
    """One answered request, without anything that its caller sent.

    ``operation`` is empty when the path or the method leads to none, ``code`` when the request was
    not refused. ``seconds`` end when the answer was known: sending it is up to the caller's line.
    """

    request_id: str
    method: str
    operation: str
    status: int
    code: str
    seconds: float


RequestObserver: TypeAlias = Callable[[RequestEvent], None]
"""Called once per answered request; it has to be quick, and must not raise."""
