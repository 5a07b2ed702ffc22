"""The limit on open file descriptors, which each connection counts against."""

from __future__ import annotations

import resource
from typing import Final

RESERVED_FDS: Final = 256
"""Descriptors kept for everything but connections: databases, logs and listeners."""


def raise_fd_limit(connections: int) -> int:
    """Raise the soft limit so that ``connections`` may be open at once.

    Returns:
        How many connections may be open: fewer than requested if the system allows no more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unbounded = resource.RLIM_INFINITY
    if soft == unbounded or soft >= connections + RESERVED_FDS:
        return connections
    allowed = (
        connections + RESERVED_FDS if hard == unbounded else min(connections + RESERVED_FDS, hard)
    )
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):
        # Some systems enforce a lower limit than the one they report.
        allowed = soft
    return min(connections, max(allowed - RESERVED_FDS, 0))
