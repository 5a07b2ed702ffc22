"""Compresses a message once for all streams that send it.

A stream with the content coding ``deflate`` is a zlib stream: a header, blocks, and the Adler-32 of
all data. A block that is compressed independently and ends at a byte boundary can be part of any
such stream, and the checksum of a stream follows from those of its blocks. A message is therefore
compressed once for any number of streams, and no stream needs a compressor.
"""

from __future__ import annotations

import zlib
from functools import cached_property
from typing import Final

HEADER: Final = b"\x78\x01"
_LAST_BLOCK: Final = b"\x03\x00"
_LEVEL: Final = 1
_BASE: Final = 65521


class Message:
    """A block of an event stream, plain and, once a stream needs it, compressed."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    @cached_property
    def deflated(self) -> bytes:
        """The block, compressed independently of other blocks."""
        compressor = zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS)
        return compressor.compress(self.data) + compressor.flush(zlib.Z_FULL_FLUSH)

    @cached_property
    def checksum(self) -> int:
        """The Adler-32 of the block."""
        return zlib.adler32(self.data)


class Deflate:
    """The state of a compressed stream."""

    __slots__ = ("_checksum", "_has_begun")

    def __init__(self) -> None:
        self._checksum = 1
        self._has_begun = False

    def block(self, message: Message) -> bytes:
        """Return what to send for a message."""
        self._checksum = combine(self._checksum, message.checksum, len(message.data))
        if self._has_begun:
            return message.deflated
        self._has_begun = True
        return HEADER + message.deflated

    def end(self) -> bytes:
        """Return the end of the stream."""
        begun = b"" if self._has_begun else HEADER
        return begun + _LAST_BLOCK + self._checksum.to_bytes(4, "big")


def combine(first: int, second: int, second_size: int) -> int:
    """Return the Adler-32 of two joined parts; ``second_size`` is the second's size in bytes."""
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + second_size * ((first & 0xFFFF) - 1)
    return (high % _BASE) << 16 | (low % _BASE)
