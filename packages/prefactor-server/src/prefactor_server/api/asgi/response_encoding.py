"""Compresses large responses with a coding that the caller accepts.

Only streamed reads and downloads are compressed. They are large, and contain no secrets that their
compressed length could reveal.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final, Literal, Protocol, TypeAlias

import zstandard

from prefactor_server.http.accept_encoding import preferred_coding

Coding: TypeAlias = Literal["zstd", "gzip"]

_PREFERRED: Final[tuple[Coding, ...]] = ("zstd", "gzip")
_ZSTD_LEVEL: Final = 3
_GZIP_LEVEL: Final = 1
_GZIP: Final = 16 + zlib.MAX_WBITS


class Compressor(Protocol):
    """Compresses one response, piece by piece."""

    def compress(self, data: bytes, /) -> bytes:
        """Return the output that is ready after another piece, if any."""
        ...

    def flush(self) -> bytes:
        """Return the remaining output."""
        ...


def requested_coding(headers: Iterable[tuple[bytes, bytes]]) -> Coding | None:
    """Return the coding that the headers of a request prefer, or None for plain text."""
    return preferred_coding(headers, _PREFERRED)


def compressed(coding: Coding | None, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a response, compressed one by one."""
    if coding is None:
        yield from pieces
        return
    compressor = new_compressor(coding)
    for piece in pieces:
        if output := compressor.compress(piece):
            yield output
    yield compressor.flush()


def new_compressor(coding: Coding) -> Compressor:
    """Return a compressor for one response."""
    if coding == "gzip":
        return zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP)
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
