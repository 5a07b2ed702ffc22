"""Time for runs that survive a change of the system clock.

A run reads the system clock once, when it starts. All later times are computed from the time
elapsed since. If the system clock is set meanwhile, no span ends before it began, and none ends
after its parent. The next run uses the corrected clock.
"""

from __future__ import annotations

import functools
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1_000_000_000
"""Nanoseconds."""
MILLISECOND = 1_000_000
"""Nanoseconds."""
NEVER = -1 << 80
"""A time in nanoseconds since 1970 that is far from every real one."""

# Prefer a clock that keeps running while the machine is suspended (a closed laptop, a frozen
# function). After a suspension, the monotonic clock would give times in the past.
_elapsed = (
    functools.partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
    if hasattr(time, "CLOCK_BOOTTIME")
    else time.monotonic_ns
)


class Clock:
    """Two clocks, in nanoseconds. Tests pass in their own.

    Args:
        wall: Returns the Unix time. May jump.
        elapsed: Returns a monotonic time with any starting point.
    """

    __slots__ = ("elapsed", "wall")

    def __init__(
        self, wall: Callable[[], int] = time.time_ns, elapsed: Callable[[], int] = _elapsed
    ) -> None:
        self.wall = wall
        self.elapsed = elapsed


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = int((datetime.max.replace(tzinfo=UTC) - _EPOCH).total_seconds()) - 1


DIGITS = tuple(f"{number:03d}" for number in range(1000))
"""The last digits of a timestamp by its microseconds within the millisecond."""


@functools.lru_cache(maxsize=2)  # successive timestamps share the second
def _second_text(second: int) -> str:
    """Return a timestamp's text up to its second, which is clamped."""
    return time.strftime('"%Y-%m-%dT%H:%M:%S.', time.gmtime(min(max(second, 0), _LAST)))


def format_millisecond(unix_ns: int) -> tuple[int, str]:
    """Return a millisecond's start in Unix nanoseconds, and what its timestamps begin with.

    A timestamp is completed by an entry of `DIGITS` and `Z"`.
    """
    second, rest = divmod(unix_ns, SECOND)
    return unix_ns - rest % MILLISECOND, _second_text(second) + DIGITS[rest // MILLISECOND]


def json_timestamp(unix_ns: int) -> str:
    """Format a Unix time as JSON text: `"2026-01-31T09:30:00.000000Z"`, always 29 characters.

    Times outside the years 1970 to 9999 are clamped.
    """
    start, text = format_millisecond(unix_ns)
    return f'{text}{DIGITS[(unix_ns - start) // 1000]}Z"'


def unix_ns(moment: datetime) -> int:
    """Return nanoseconds since 1970. A naive datetime is UTC, as everywhere in the API."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    passed = aware - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * SECOND + passed.microseconds * 1000
