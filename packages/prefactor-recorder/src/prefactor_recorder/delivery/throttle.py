"""Decides when the next request may be sent. Pure: time and randomness are arguments.

steady      a full request is sent at once, any other `interval` after the last
failing     after a failure: nothing until the backoff is over, then one request at a time
recovering  after failures: at most twice the steady rate, until the backlog is gone
paused      the token is rejected: one request per `probe_interval`
"""

from __future__ import annotations

import math

MIN_BACKOFF, MAX_BACKOFF = 1.0, 60.0
"""Seconds of the first and of the longest backoff, without jitter."""
MAX_RETRY_AFTER = 3600.0
"""Maximum seconds to wait when the server asks for a longer wait."""
JITTER = 0.1
"""Maximum random addition to a wait, as a share of it, so that recorders with the same wait do not
return together."""
RECOVERY_INTERVAL_SHARE = 0.55
"""Interval during a recovery, as a share of the usual one. A little over half, because the usual
requests also wait for their responses."""
SPEED_UP_AFTER = 240
"""Consecutive successes before a recovery doubles its rate."""


def backoff(failures: int, chance: float) -> float:
    """Return the seconds to wait after consecutive failures.

    Args:
        failures: Their number, at least 1.
        chance: A random number from [0, 1).
    """
    wait: float = min(MIN_BACKOFF * 2.0 ** min(failures - 1, 10), MAX_BACKOFF)
    return min(wait * (0.75 + 0.5 * chance), MAX_BACKOFF)


def retry_after_delay(seconds: float, chance: float) -> float:
    """Return the seconds to wait when the server asked for a wait."""
    return min(seconds, MAX_RETRY_AFTER) * (1 + JITTER * chance)


class Throttle:
    """Decides when the next request may be sent."""

    def __init__(self, *, interval: float, probe_interval: float, in_flight: int) -> None:
        """Start in the steady state; the first request may be sent at once.

        Args:
            interval: Seconds between requests that are not full.
            probe_interval: Seconds between attempts with a rejected token.
            in_flight: Maximum requests in flight.
        """
        self._interval = interval
        self._probe_interval = probe_interval
        self._in_flight = in_flight
        self._last = -math.inf
        self._until = -math.inf
        self._failed_at = -math.inf
        self._is_retry_after = False
        self._successes = 0
        self._recovery_interval = 0.0
        """Seconds between requests while recovering."""
        self.failures = 0
        """Consecutive failures of whole requests."""
        self.recovering = False
        self.paused: str | None = None
        """Why delivery is paused; None if it is not."""

    @property
    def troubled(self) -> bool:
        """Whether the last request failed, or delivery is paused."""
        return self.failures > 0 or self.paused is not None

    def is_waiting_to_probe(self, now: float) -> bool:
        """Whether delivery is paused and its next attempt lies in the future."""
        return self.paused is not None and self._until > now

    def next_at(self, *, full: bool, flushing: bool, in_flight: int) -> float:
        """Return when a request may be sent; infinity until one in flight completes.

        Args:
            full: Whether enough items are ready to fill a request.
            flushing: Whether a flush is pending (the exit flushes, too).
            in_flight: Requests in flight.
        """
        if in_flight >= (1 if self.troubled else self._in_flight):
            return math.inf
        at = self._until
        if self.recovering:
            at = max(at, self._last + self._recovery_interval)
        if not (full or flushing or self.troubled):
            at = max(at, self._last + self._interval)
        return at

    def sent(self, now: float) -> None:
        """Record that a request was sent."""
        self._last = now

    def succeeded(self, *, backlog: bool) -> bool:
        """Record a success. Return whether it ended a series of failures or a pause.

        Args:
            backlog: Whether enough items for a full request are left.
        """
        ended = self.troubled
        if ended:
            self.failures, self.paused = 0, None
            self._until, self._is_retry_after = -math.inf, False
            self.recover()
        if self.recovering:
            self._successes += 1
            if not backlog:
                self.recovering = False
            elif self._successes % SPEED_UP_AFTER == 0:
                self._recovery_interval /= 2
        return ended

    def recover(self) -> None:
        """Limit the rate until the backlog is gone."""
        self.recovering, self._successes, self._recovery_interval = (
            True,
            0,
            self._interval * RECOVERY_INTERVAL_SHARE,
        )

    def failed(
        self,
        now: float,
        *,
        started: float,
        retry_after: float | None,
        chance: float,
        dropped: bool = False,
    ) -> bool:
        """Record that a request failed as a whole. Return whether it counted.

        Requests that were in flight together fail together, and count as one failure.

        Args:
            now: The current time.
            started: When the request was sent.
            retry_after: Seconds that the server asked to wait; None if it did not ask.
            chance: A random number from [0, 1).
            dropped: Whether the connection was lost. Servers close idle connections, so the first
                loss is retried at once.
        """
        if started < self._failed_at:
            return False
        self._failed_at = now
        self._is_retry_after = retry_after is not None
        if dropped and not self.troubled:
            wait = 0.0
        elif retry_after is None:
            wait = backoff(max(self.failures, 1), chance)
        else:
            wait = retry_after_delay(retry_after, chance)
        self.failures += 1
        self._until = now + wait
        return True

    def pause(self, now: float, reason: str, *, chance: float) -> bool:
        """Pause, because the token was rejected. Return whether delivery was not paused before."""
        news = self.paused is None
        self._failed_at = now
        self.paused, self._is_retry_after = reason, False
        self._until = now + self._probe_interval * (1 + JITTER * chance)
        return news

    def probe_now(self) -> None:
        """Allow an attempt now, unless the server asked for a wait."""
        if not self._is_retry_after:
            self._until = -math.inf
