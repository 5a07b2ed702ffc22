"""How JSON documents are kept: as they are when small, zstd-compressed when that saves something.

A codec number stands beside every stored document, so that another way of keeping them needs no
migration of the old ones.
"""

from __future__ import annotations

import threading
from typing import Final

import zstandard

RAW: Final = 0
ZSTD: Final = 1

# Below this, a compressed document is hardly smaller and always slower to read.
_WORTH_COMPRESSING: Final = 256
# Level 1 is twice as fast as level 3 and gives away some 2 % of the size on JSON.
_LEVEL: Final = 1
# Nothing larger is compressed, so a stored frame that claims to hold more is damaged.
_MAX_SIZE: Final = 64 * 1024 * 1024


class _Contexts(threading.local):
    """A compressor and a decompressor per thread: neither may be shared by two at once."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


def encode_document(document: bytes) -> tuple[int, bytes]:
    """The codec and the bytes to store for a JSON document."""
    if not _WORTH_COMPRESSING <= len(document) <= _MAX_SIZE:
        return RAW, document
    compressed = _contexts.compressor.compress(document)
    return (ZSTD, compressed) if len(compressed) < len(document) else (RAW, document)


def decode_document(codec: int, body: bytes) -> bytes:
    """The JSON document that was stored.

    Raises:
        ValueError: the codec is unknown (a newer server wrote it), or the bytes are damaged.
    """
    if codec == RAW:
        return body
    if codec != ZSTD:
        raise ValueError(f"document codec {codec} is unknown to this version of the server")
    try:
        # The claimed size is what decompressing allocates, before it looks at the rest.
        if zstandard.frame_content_size(body) > _MAX_SIZE:
            raise ValueError("a stored document is damaged")
        return _contexts.decompressor.decompress(body, max_output_size=_MAX_SIZE)
    except zstandard.ZstdError as error:
        raise ValueError("a stored document is damaged") from error
