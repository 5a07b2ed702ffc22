"""Reads the parts of a PFID back out of it."""

from __future__ import annotations

from prefactor_server.domain.pfid import ALPHABET, MAX_PARTITION


def partition_of(pfid: str) -> int:
    """Return the partition in a PFID."""
    return (_number(pfid) >> 80) & MAX_PARTITION


def timestamp_ms_of(pfid: str) -> int:
    """Return the Unix milliseconds in a PFID."""
    return _number(pfid) >> 110


def _number(pfid: str) -> int:
    number = 0
    for character in pfid:
        number = (number << 5) | ALPHABET.index(character)
    return number
