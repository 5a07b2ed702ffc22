"""Compresses large responses with a coding that the caller accepts.

Only streamed reads and downloads are compressed. They are large, and contain no secrets that their
compressed length could reveal.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final, Literal, Protocol, TypeAlias

import zstandard

Coding: TypeAlias = Literal["zstd", "gzip"]

_PREFERRED: Final[tuple[Coding, ...]] = ("zstd", "gzip")
_ZSTD_LEVEL: Final = 3
_GZIP_LEVEL: Final = 1
_GZIP: Final = 16 + zlib.MAX_WBITS
_MAX_CODINGS: Final = 32


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
    accepted = [value for name, value in headers if name == b"accept-encoding"]
    return accepted_coding(b",".join(accepted).decode("latin-1"))


def accepted_coding(accept_encoding: str) -> Coding | None:
    """Return the coding that a request's ``Accept-Encoding`` prefers, or None for plain text.

    A coding with ``q=0`` or a malformed weight is not used.
    """
    weights: dict[str, float] = {}
    for part in accept_encoding.split(",", _MAX_CODINGS)[:_MAX_CODINGS]:
        name, _, parameters = part.partition(";")
        weights[name.strip().lower()] = _weight(parameters.strip().lower())
    anything = weights.get("*", 0.0)
    best = max(_PREFERRED, key=lambda coding: weights.get(coding, anything))
    return best if weights.get(best, anything) > 0 else None


def _weight(parameters: str) -> float:
    if not parameters:
        return 1.0
    name, _, number = parameters.partition("=")
    try:
        weight = float(number) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


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
