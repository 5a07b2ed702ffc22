"""PFIDs: the ids of the platform, sortable by time and carrying a partition.

The partition of a run is random. Rows that belong to a run have its partition, so that a run could
be kept on one shard by its ids alone. All other rows have their account's partition.

A PFID is 160 bits, written as 32 characters of lowercase Crockford base 32: 48 bits of Unix
milliseconds (with two leading zero bits, so that the first character is 0 to 7), 30 bits of
partition and 80 random bits. Text order is time order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 32
MAX_TIMESTAMP_MS = 2**48 - 1
MAX_PARTITION = 2**30 - 1
RANDOM_BYTES = 10

PARTITION = slice(10, 16)
"""The characters of a PFID that are its partition."""

_MAX_RANDOM = 2 ** (8 * RANDOM_BYTES) - 1
_LOW_HALF = 2**40 - 1
# Ids of one millisecond differ by a random step, so that an id does not reveal the next one, and
# two servers that start at nearby numbers do not generate the same ids.
_STEP_BYTES = 6
_PARTITION_STEP_BYTES = 2

_PFID = re.compile(f"[0-7][{ALPHABET}]{{{LENGTH - 1}}}")

# Encoding two characters at a time takes half the steps, for a table of 1,024 entries.
_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]


def encode(timestamp_ms: int, partition: int, randomness: bytes) -> str:
    """Encode a PFID.

    Raises:
        ValueError: a part is out of its range.
    """
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"randomness must be {RANDOM_BYTES} bytes, got {len(randomness)}")
    number = int.from_bytes(randomness, "big")
    return _time_text(timestamp_ms) + _partition_text(partition) + _random_text(number)


@lru_cache(maxsize=16)
def _time_text(timestamp_ms: int) -> str:
    """Return the first ten characters, which all ids of a millisecond share."""
    if not 0 <= timestamp_ms <= MAX_TIMESTAMP_MS:
        raise ValueError(f"timestamp must be 0 to {MAX_TIMESTAMP_MS}, got {timestamp_ms}")
    return "".join([_PAIRS[timestamp_ms >> shift & 1023] for shift in range(40, -1, -10)])


@lru_cache(maxsize=1024)
def _partition_text(partition: int) -> str:
    """Return the six characters of a partition."""
    if not 0 <= partition <= MAX_PARTITION:
        raise ValueError(f"partition must be 0 to {MAX_PARTITION}, got {partition}")
    return "".join([_PAIRS[partition >> shift & 1023] for shift in (20, 10, 0)])


@lru_cache(maxsize=1024)
def _partition_text_of(run_id: str) -> str:
    """Return the characters of a run's partition, or an empty text if its id is not a PFID."""
    return run_id[PARTITION] if is_pfid(run_id) else ""


def _random_text(number: int) -> str:
    """Return the sixteen characters of 80 bits."""
    # In two halves, because small integers are faster.
    pairs, high, low = _PAIRS, number >> 40, number & _LOW_HALF
    return (
        f"{pairs[high >> 30]}{pairs[high >> 20 & 1023]}{pairs[high >> 10 & 1023]}"
        f"{pairs[high & 1023]}{pairs[low >> 30]}{pairs[low >> 20 & 1023]}"
        f"{pairs[low >> 10 & 1023]}{pairs[low & 1023]}"
    )


def id_prefix(time_us: int) -> str:
    """Return the prefix of the PFIDs of a millisecond. It sorts after all earlier PFIDs."""
    return _time_text(time_us // 1000)


def time_of_prefix(prefix: str) -> int:
    """Return the time of a prefix from ``id_prefix``, in microseconds since 1970."""
    ms = 0
    for character in prefix:
        ms = ms * len(ALPHABET) + ALPHABET.index(character)
    return ms * 1000


def is_pfid(text: str) -> bool:
    """Return whether the text is a PFID: 32 lowercase characters, the first of them 0 to 7."""
    return _PFID.fullmatch(text) is not None


class PfidMaker:
    """Generates PFIDs from a given clock and source of randomness.

    Each id of a partition sorts after the previous one, even within a millisecond or when the clock
    was set back. So does each run's id. Runs of one request, and the spans that it adds to a run,
    are therefore listed in the order of their creation.
    """

    __slots__ = (
        "_last_ms",
        "_last_number",
        "_now_us",
        "_random_bytes",
        "_run_ms",
        "_run_partition",
    )

    def __init__(self, now_us: Callable[[], int], random_bytes: Callable[[int], bytes]) -> None:
        self._now_us = now_us
        self._random_bytes = random_bytes
        self._last_ms = self._run_ms = -1
        self._last_number = self._run_partition = 0

    def make(self, partition: int) -> str:
        """Return a new id in the partition, with the current millisecond or a later one."""
        self._advance()
        return self._encode(_partition_text(partition))

    def make_run_id(self) -> str:
        """Return a new id for a run, in a random partition."""
        self._advance()
        if self._run_ms == self._last_ms:
            # The partition precedes the random part, so it decides the order.
            self._run_partition += 1 + self._random(_PARTITION_STEP_BYTES)
            if self._run_partition > MAX_PARTITION:
                self._begin(self._last_ms + 1)
        if self._run_ms != self._last_ms:
            self._run_ms = self._last_ms
            self._run_partition = self._random(4) & MAX_PARTITION
        return self._encode(_partition_text(self._run_partition))

    def make_in_run(self, run_id: str, partition: int) -> str:
        """Return a new id in the partition of the run, or in ``partition`` if it has none.

        A run has no partition if a client chose its id and it is not a PFID.
        """
        self._advance()
        return self._encode(_partition_text_of(run_id) or _partition_text(partition))

    def _advance(self) -> None:
        now_ms = self._now_us() // 1000
        if now_ms > self._last_ms:
            self._begin(now_ms)
        else:
            self._last_number += 1 + self._random(_STEP_BYTES)
            if self._last_number > _MAX_RANDOM:
                self._begin(self._last_ms + 1)

    def _begin(self, ms: int) -> None:
        self._last_ms = ms
        self._last_number = self._random(RANDOM_BYTES)

    def _encode(self, partition_text: str) -> str:
        return f"{_time_text(self._last_ms)}{partition_text}{_random_text(self._last_number)}"

    def _random(self, size: int) -> int:
        return int.from_bytes(self._random_bytes(size), "big")
