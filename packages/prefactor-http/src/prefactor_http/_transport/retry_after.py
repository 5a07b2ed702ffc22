"""Reads the delay before a retry that a server asks for, from unvalidated headers.

A header is untrusted input: it must not lead to a delay that is infinite, negative or too large for
the clock. Implausible values are ignored.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DECIMAL = re.compile(r"[ \t]*[0-9]+(?:\.[0-9]+)?[ \t]*")

MAX_WAIT = 366 * 24 * 3600.0
"""In seconds. A longer delay is a mistake or an attack."""


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds to wait from `retry-after-ms` or `retry-after`, or None.

    Args:
        headers: Response headers with lower-case names.
        now: The time to compare a date in the header with, if the response does not say when it was
            sent; by default the current time.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    # By the server's own clock, because ours may be wrong.
    sent = _moment(headers.get("date") or "")
    return _until(text, sent or now or datetime.now(UTC))


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Return the value of `x-should-retry`: True, False, or None if it is absent or unclear."""
    said = headers.get("x-should-retry", "").strip().lower()
    return {"true": True, "false": False}.get(said)


def _number(text: str | None) -> float | None:
    # float() would also accept "1_000", "1e3", "nan", and digits of other scripts.
    return _plausible(float(text)) if text and _DECIMAL.fullmatch(text) else None


def _plausible(seconds: float) -> float | None:
    # NaN fails the comparison, infinity the upper bound.
    return seconds if 0 <= seconds <= MAX_WAIT else None


def _moment(text: str) -> datetime | None:
    if not text.isascii():  # parsedate_to_datetime() accepts digits of other scripts
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    # "-0000" is UTC by RFC 5322.
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _until(text: str, now: datetime) -> float | None:
    moment = _moment(text)
    if moment is None:
        return None
    try:
        return _plausible(max(0.0, (moment - now).total_seconds()))
    except OverflowError:
        return None
