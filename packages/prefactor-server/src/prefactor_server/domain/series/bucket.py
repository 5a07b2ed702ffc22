"""Buckets of time in UTC: their sizes, their retention, and ranges of buckets."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from prefactor_server.domain.errors import invalid
from prefactor_server.domain.times import DAY_US, SECOND_US, format_time, parse_time

BucketName: TypeAlias = Literal["minute", "hour", "day"]
BUCKET_NAMES: Final[tuple[BucketName, ...]] = get_args(BucketName)

MAX_BUCKETS: Final = 1500
"""The most buckets of a series: a day of minutes, two months of hours, four years of days."""

# The last day that has an end within the calendar.
_LAST: Final = parse_time("9999-12-31T00:00:00Z")


class Bucket(NamedTuple):
    """A bucket size: its length, its retention (None is forever), and the default range."""

    name: BucketName
    seconds: int
    kept_days: int | None
    default_buckets: int

    @property
    def length(self) -> int:
        """Its length in microseconds."""
        return self.seconds * SECOND_US

    def start_of(self, at: int) -> int:
        """Return the start of the bucket that contains a time."""
        return at // self.length * self.length

    def kept_from(self, now: int) -> int | None:
        """Return the start of the oldest bucket that is kept; None if all are."""
        if self.kept_days is None:
            return None
        return self.start_of(now - self.kept_days * DAY_US)


MINUTE: Final = Bucket("minute", 60, 7, 180)
HOUR: Final = Bucket("hour", 3600, 90, 168)
DAY: Final = Bucket("day", 24 * 3600, None, 90)
BUCKETS: Final = (MINUTE, HOUR, DAY)
BY_NAME: Final = {bucket.name: bucket for bucket in BUCKETS}


class Range(NamedTuple):
    """Consecutive whole buckets from ``start`` to before ``end``."""

    bucket: Bucket
    start: int
    end: int

    @property
    def starts(self) -> range:
        """The starts of the buckets."""
        return range(self.start, self.end, self.bucket.length)


def read_range(bucket: Bucket, start: int | None, end: int | None, now: int) -> Range:
    """Return the buckets that contain a range of time, by default the latest ones.

    Raises:
        ValidationFailed: the range is empty, has too many buckets, begins before the oldest stored
            bucket, or is not within the years 1970 to 9999.
    """
    last = bucket.start_of((now if end is None else end) - 1) + bucket.length
    first = last - bucket.default_buckets * bucket.length
    if start is not None:
        first = bucket.start_of(start)
    if end is not None and last > _LAST:
        raise invalid("end_time", f"must be before {format_time(_LAST)}")
    if first < 0:
        raise invalid("start_time", f"must be {format_time(0)} or later")
    count = (last - first) // bucket.length
    if count < 1:
        raise invalid("start_time", "must be before end_time")
    if count > MAX_BUCKETS:
        raise invalid(
            "start_time",
            f"must be at most {MAX_BUCKETS} buckets before end_time, got {count}: choose a shorter "
            "range or larger buckets",
        )
    kept = bucket.kept_from(now)
    if kept is not None and first < kept:
        raise invalid(
            "start_time",
            f"must be {format_time(kept)} or later, because buckets of a {bucket.name} are kept "
            f"for {bucket.kept_days} days: choose larger buckets for earlier times",
        )
    return Range(bucket, first, last)
