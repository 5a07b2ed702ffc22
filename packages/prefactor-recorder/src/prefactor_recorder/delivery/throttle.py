"""When the next request may leave, and how large it may be. Pure: time and chance are arguments.

steady      a request that is full leaves at once, any other `interval` after the last
troubled    after a failure: nothing until the wait is over, then one request alone
recovering  after trouble: twice the steady cadence at most, until the backlog is gone
paused      the token is rejected: one request per `probe_interval`
"""

from __future__ import annotations

import math

SHORTEST, LONGEST = 1.0, 60.0
"""Seconds of the first and of the longest wait after failures in a row, before chance."""
LONGEST_ASKED = 3600.0
"""Seconds; a server that asks for more than this is asked again after this."""
SPREAD = 0.1
"""Share by which a wait that the server asked for is lengthened at random, so that those who were
told the same do not come back together."""
RECOVERY = 0.55
"""Share of the usual interval between two requests of a recovery: a little less than twice as many,
because the usual ones also take their time to be answered."""
CALM = 240
"""Requests in a row that have to succeed before a recovery goes twice as fast."""


def backoff(failures: int, chance: float) -> float:
    """Seconds to wait after so many failures in a row, 1 at least.

    Args:
        failures: How many.
        chance: From [0, 1).
    """
    wait: float = min(SHORTEST * 2.0 ** min(failures - 1, 10), LONGEST)
    return min(wait * (0.75 + 0.5 * chance), LONGEST)


def as_asked(seconds: float, chance: float) -> float:
    """Seconds to wait when the server said how long."""
    return min(seconds, LONGEST_ASKED) * (1 + SPREAD * chance)


class Pace:
    """Says when the next request may leave."""

    def __init__(self, *, interval: float, probe_interval: float, in_flight: int) -> None:
        """Start in the steady state: the first request leaves at once.

        Args:
            interval: Seconds between two requests that are not full.
            probe_interval: Seconds between two tries of a rejected token.
            in_flight: Requests under way at most.
        """
        self._interval = interval
        self._probe_interval = probe_interval
        self._in_flight = in_flight
        self._last = -math.inf
        self._until = -math.inf
        self._opened = -math.inf
        self._asked = False
        self._calm = 0
        self._gap = 0.0
        """Seconds between any two requests while recovering."""
        self.failures = 0
        """Failures of whole requests in a row."""
        self.recovering = False
        self.paused: str | None = None
        """Why delivery pauses; None while it does not."""

    @property
    def troubled(self) -> bool:
        """Whether the last thing that happened was a failure."""
        return self.failures > 0 or self.paused is not None

    def rests(self, now: float) -> bool:
        """Whether it pauses, and has tried since somebody hurried it."""
        return self.paused is not None and self._until > now

    def next_at(self, *, full: bool, hurried: bool, in_flight: int) -> float:
        """When a request may leave; infinity for "when another one has come back".

        Args:
            full: Whether a whole request's worth of items waits.
            hurried: Whether somebody waits for what is there (a flush, an exit).
            in_flight: Requests under way.
        """
        if in_flight >= (1 if self.troubled else self._in_flight):
            return math.inf
        at = self._until
        if self.recovering:
            at = max(at, self._last + self._gap)
        if not (full or hurried or self.troubled):
            at = max(at, self._last + self._interval)
        return at

    def sent(self, now: float) -> None:
        """A request has left."""
        self._last = now

    def succeeded(self, *, backlog: bool) -> bool:
        """A request was answered; whether that ended a time of trouble.

        Args:
            backlog: Whether a whole request's worth of items still waits.
        """
        ended = self.troubled
        if ended:
            self.failures, self.paused = 0, None
            self._until, self._asked = -math.inf, False
            self.recover()
        if self.recovering:
            self._calm += 1
            if not backlog:
                self.recovering = False
            elif self._calm % CALM == 0:
                self._gap /= 2
        return ended

    def recover(self) -> None:
        """Go slowly for as long as there is a backlog."""
        self.recovering, self._calm, self._gap = True, 0, self._interval * RECOVERY

    def failed(
        self,
        now: float,
        *,
        started: float,
        asked: float | None,
        chance: float,
        dropped: bool = False,
    ) -> bool:
        """A request failed as a whole; whether that is news.

        Requests that were under way together fail together, and count as one failure.

        Args:
            now: The time.
            started: When the request left.
            asked: Seconds that the server asked to wait.
            chance: From [0, 1).
            dropped: Whether the connection was lost. Servers close idle ones; that deserves one
                try on another at once.
        """
        if started < self._opened:
            return False
        self._opened = now
        self._asked = asked is not None
        if dropped and not self.troubled:
            wait = 0.0
        elif asked is None:
            wait = backoff(max(self.failures, 1), chance)
        else:
            wait = as_asked(asked, chance)
        self.failures += 1
        self._until = now + wait
        return True

    def pause(self, now: float, reason: str, *, chance: float) -> bool:
        """The token was rejected; whether that is news."""
        news = self.paused is None
        self._opened = now
        self.paused, self._asked = reason, False
        self._until = now + self._probe_interval * (1 + SPREAD * chance)
        return news

    def hurry(self) -> None:
        """Try once at once, unless the server itself said when to come back."""
        if not self._asked:
            self._until = -math.inf
