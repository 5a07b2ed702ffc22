"""Decompresses a response in slices of bounded size.

A few hundred kilobytes of gzip may expand to gigabytes. Between two slices, the caller can check
the time or stop.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCEPTED = "gzip, deflate"
"""The accepted content codings. Others may need libraries that have no limit."""
INPUT_CHUNK = 2**14
"""Compressed bytes passed to zlib at a time."""
OUTPUT_CHUNK = 2**18
"""Maximum bytes that zlib may return at a time."""

_GZIP = 16 + zlib.MAX_WBITS
_ASKED_FOR = frozenset({"gzip", "x-gzip", "deflate"})
_UNREADABLE = frozenset({"br", "compress", "x-compress", "zstd"})
_ZLIB_METHOD = 8


class UnreadableCodingError(ValueError):
    """The body has a content coding that was not requested."""


def coding_of(content_encoding: str) -> str | None:
    """Return the coding to decode, or None if the body is not encoded.

    A header that names no coding at all, such as `utf-8`, is ignored as a mistake.

    Raises:
        UnreadableCodingError: It names a coding that was not requested, or several.
    """
    coding = content_encoding.strip().lower()
    if coding in _ASKED_FOR:
        return coding
    if coding in _UNREADABLE or "," in coding:
        raise UnreadableCodingError(coding)
    return None


def inflate(body: bytes, coding: str) -> Iterator[bytes]:
    """Yield the uncompressed body in slices of at most `OUTPUT_CHUNK` bytes, some of them empty.

    Raises:
        zlib.error: The body is damaged or ends early.
    """
    inflater = Inflater(coding)
    yield from inflater.pieces(body)
    yield inflater.end()


class Inflater:
    """Decompresses a body that arrives in pieces. Without a coding, it passes them on."""

    def __init__(self, coding: str | None) -> None:
        """Create an inflater for a new body."""
        self._coding = coding
        self._window = _GZIP
        self._unpacker: Any = None

    def pieces(self, body: bytes) -> Iterator[bytes]:
        """Yield the next part of the output, in slices of at most `OUTPUT_CHUNK` bytes.

        Raises:
            zlib.error: The body is damaged.
        """
        if self._coding is None:
            yield body
            return
        for start in range(0, len(body), INPUT_CHUNK):
            waiting = body[start : start + INPUT_CHUNK]
            while waiting:
                if self._unpacker is None:
                    self._window = _window(waiting, self._coding)
                    self._unpacker = zlib.decompressobj(self._window)
                elif self._unpacker.eof:
                    if self._window != _GZIP:
                        return
                    # Another gzip member follows.
                    self._unpacker = zlib.decompressobj(self._window)
                yield self._unpacker.decompress(waiting, OUTPUT_CHUNK)
                unpacker = self._unpacker
                waiting = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail

    def end(self) -> bytes:
        """Return the remaining output.

        Raises:
            zlib.error: The body ends early.
        """
        if self._unpacker is None:
            return b""
        rest: bytes = self._unpacker.flush()
        if not self._unpacker.eof:
            message = "the compressed data ends early"
            raise zlib.error(message)
        return rest


def _window(body: bytes, coding: str) -> int:
    """Return the window size for zlib, which includes the format."""
    if coding != "deflate":
        return _GZIP
    # Some servers omit the zlib header.
    return zlib.MAX_WBITS if body[0] & 0xF == _ZLIB_METHOD else -zlib.MAX_WBITS
