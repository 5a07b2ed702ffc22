"""Time for runs that outlive a change of the system clock.

A run takes its place in time from the system clock once, when it starts; everything in it is
placed by the time that has passed since. When the system clock is set meanwhile, no span of the
run ends before it began and none overtakes its parent. The next run uses the corrected clock.
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

# Where there is one, a clock that goes on while the machine sleeps (a closed laptop, a frozen
# function): the plain monotonic clock would place what follows in the past.
_elapsed = (
    functools.partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
    if hasattr(time, "CLOCK_BOOTTIME")
    else time.monotonic_ns
)


class Clock:
    """Two clocks, in nanoseconds; hand in others in tests.

    Args:
        wall: Unix time. May jump.
        elapsed: Never goes back; its zero means nothing.
    """

    __slots__ = ("elapsed", "wall")

    def __init__(
        self, wall: Callable[[], int] = time.time_ns, elapsed: Callable[[], int] = _elapsed
    ) -> None:
        self.wall = wall
        self.elapsed = elapsed


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = int((datetime.max.replace(tzinfo=UTC) - _EPOCH).total_seconds()) - 1


class _Seconds:
    """The text of the second that was asked for last: most timestamps share it."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: tuple[int, bytes] = (-1, b"")


_seconds = _Seconds()


def json_timestamp(unix_ns: int) -> bytes:
    """Format a Unix time as JSON text: `"2026-01-31T09:30:00.000000Z"`, always 29 bytes.

    Times outside the years 1970 to 9999 are clamped.
    """
    second, rest = divmod(unix_ns, SECOND)
    known = _seconds.known  # one read: another thread may replace the pair meanwhile
    if known[0] != second:
        moment = time.gmtime(min(max(second, 0), _LAST))
        known = _seconds.known = (second, time.strftime('"%Y-%m-%dT%H:%M:%S.', moment).encode())
    return b'%b%06dZ"' % (known[1], rest // 1000)


def unix_ns(moment: datetime) -> int:
    """Nanoseconds since 1970; a naive datetime is taken as UTC, as everywhere in the API."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    passed = aware - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * SECOND + passed.microseconds * 1000
