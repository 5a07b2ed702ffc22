"""Generates ids locally, so that a parent's id is known before it is delivered.

A PFID has 32 characters of Crockford's base 32 in lower case: ten for the Unix time in
milliseconds, six for a partition, and sixteen for 80 random bits. Ids sort by time.
A run's partition is drawn at random, and the ids of its spans repeat it, so that storage can keep
a run in one place by ids alone.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

from prefactor_recorder.encoding.clock import MILLISECOND

if TYPE_CHECKING:
    from collections.abc import Callable

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 32
"""Characters of an id."""
_PARTITION_BITS = 30

_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]
_TIME_SHIFTS = (40, 30, 20, 10, 0)
_RANDOM_LENGTH = 16
_RANDOM_PART = re.compile(f".{{{_RANDOM_LENGTH}}}")
_BUFFERED = 64
# The character for each random byte, of which five bits count.
_CHARACTERS = "".join(ALPHABET[byte & 31] for byte in range(256)).encode()


class IdGenerator:
    """Generates ids for one process. Thread-safe.

    Args:
        bits: Returns the given number of random bits. The default is seeded from the operating
            system. It is not cryptographic, because an id grants no access.
    """

    __slots__ = ("_bits", "_drawn", "_random_bytes")

    def __init__(self, bits: Callable[[int], int] | None = None) -> None:
        source = random.Random()  # noqa: S311 - see the class
        self._bits = bits or source.getrandbits
        self._random_bytes = source.randbytes if bits is None else None
        self._drawn: list[str] = []

    def new_run_id(self, unix_ns: int) -> str:
        """Return a new id for a run that begins at a Unix time in nanoseconds."""
        return self.new_id(unix_ns, _base32(self._bits(_PARTITION_BITS), 6))

    def new_id(self, unix_ns: int, partition: str) -> str:
        """Return a new id for a Unix time in nanoseconds, in the partition of its run."""
        return f"{time_part(unix_ns)}{partition}{self.random_part()}"

    def random_part(self) -> str:
        """Return the random characters that end a new id."""
        try:
            return self._drawn.pop()  # in one step, so that no other thread gets the same
        except IndexError:
            return self._draw()

    def _draw(self) -> str:
        """Return the random part of an id, and keep some for the next ones.

        Drawing many at once costs a tenth of drawing each by itself.
        """
        if self._random_bytes is None:
            return _base32(self._bits(5 * _RANDOM_LENGTH), _RANDOM_LENGTH)
        text = self._random_bytes(_RANDOM_LENGTH * _BUFFERED).translate(_CHARACTERS).decode()
        drawn: list[str] = _RANDOM_PART.findall(text)
        last = drawn.pop()
        self._drawn.extend(drawn)
        return last


def partition_of(run_id: str) -> str:
    """Return the partition that the ids below a run have.

    An id that is not a PFID has no partition, so a hash of it is used, equal in every process.
    """
    if len(run_id) == LENGTH and run_id[0] in "01234567" and set(run_id) <= set(ALPHABET):
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


def time_part(unix_ns: int) -> str:
    """Return the characters of an id that stand for its time, equal within a millisecond."""
    milliseconds = max(unix_ns // MILLISECOND, 0)
    return "".join([_PAIRS[milliseconds >> shift & 1023] for shift in _TIME_SHIFTS])


def _base32(number: int, length: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))
