"""Room for connections: each is an open file, and a process may have only so many of those."""

from __future__ import annotations

import resource
from typing import Final

RESERVED_FDS: Final = 256
"""How many files the server has open at most beside its connections: databases, logs, listeners."""


def raise_fd_limit(connections: int) -> int:
    """Let this process have so many connections open at once, as far as the system allows.

    Returns:
        How many it can have: fewer than were asked for where the system allows no more.
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
        # Some systems have a bound of their own below the one that they tell.
        allowed = soft
    return min(connections, max(allowed - RESERVED_FDS, 0))
