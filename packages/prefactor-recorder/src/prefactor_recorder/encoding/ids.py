"""Generates ids locally, so that a parent's id is known before it is delivered.

A PFID has 32 characters of Crockford's base 32 in lower case: ten for the Unix time in
milliseconds, six for a partition, and sixteen for 80 random bits. Text order is time order.
A run's partition is drawn at random, and the ids of its spans repeat it, so that storage can keep
a run in one place by ids alone.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 32
_PARTITION_BITS = 30

# Two characters at a time. A table for three no longer fits into the processor's cache, which costs
# more than the lookups it saves.
_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]


class IdGenerator:
    """Generates ids for one process. Thread-safe.

    Args:
        bits: Returns the given number of random bits. The default is seeded from the operating
            system. It is not cryptographic, because an id grants no access.
    """

    __slots__ = ("_bits", "_time_prefix")

    def __init__(self, bits: Callable[[int], int] | None = None) -> None:
        self._bits = bits or random.Random().getrandbits  # noqa: S311 - see the class
        self._time_prefix = (-1, "")

    def new_run_id(self, unix_ns: int) -> str:
        """Return a new id for a run that begins at a Unix time in nanoseconds."""
        return self.new_id(unix_ns, _base32(self._bits(_PARTITION_BITS), 6))

    def new_id(self, unix_ns: int, partition: str) -> str:
        """Return a new id for a Unix time in nanoseconds, in the partition of its run."""
        milliseconds = unix_ns // 1_000_000
        number = milliseconds >> 10
        prefix = self._time_prefix  # one read: another thread may replace the pair meanwhile
        if prefix[0] != number:
            prefix = self._time_prefix = (number, _base32(number, 8) if number > 0 else "0" * 8)
        g = self._bits(80)
        return (
            f"{prefix[1]}{_PAIRS[milliseconds & 1023]}{partition}"
            f"{_PAIRS[g & 1023]}{_PAIRS[g >> 10 & 1023]}{_PAIRS[g >> 20 & 1023]}"
            f"{_PAIRS[g >> 30 & 1023]}{_PAIRS[g >> 40 & 1023]}{_PAIRS[g >> 50 & 1023]}"
            f"{_PAIRS[g >> 60 & 1023]}{_PAIRS[g >> 70]}"
        )


def partition_of(run_id: str) -> str:
    """Return the partition that the ids below a run have.

    An id that is not a PFID has none, so a hash of it stands in: the same in every process.
    """
    if len(run_id) == _LENGTH and run_id[0] in "01234567" and set(run_id) <= set(ALPHABET):
        return run_id[10:16]
    return _base32(stable_hash(run_id) & ((1 << _PARTITION_BITS) - 1), 6)


def hash_fraction(identifier: str) -> float:
    """Return a number from 0 (inclusive) to 1 (exclusive) that depends only on the id.

    It is uniform over ids, so that every process makes the same sampling decision about a run.
    """
    return (stable_hash(identifier) >> 11) / (1 << 53)


def stable_hash(text: str) -> int:
    """Return 64 bits of FNV-1a with a final mix. Unlike `hash()`, stable between processes."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    value ^= value >> 32
    value = (value * 0xD6E8FEB86659FD93) & 0xFFFFFFFFFFFFFFFF
    return value ^ value >> 32


def _base32(number: int, length: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))
