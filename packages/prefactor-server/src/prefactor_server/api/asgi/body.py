"""Receives and decompresses a request body within a limit.

A client may compress it with gzip, as one member, or with zstd if the operation accepts that. The
limit applies to the compressed and to the decompressed size. It is checked during decompression, so
a decompression bomb is rejected as soon as its output exceeds the limit.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

import zstandard
from starlette.types import Receive

from prefactor_server.api.kernel.errors import UnsupportedEncoding
from prefactor_server.domain.errors import BadRequest, Limit, TooLarge
from prefactor_server.http.memory_budget import Lease

ZSTD: Final = b"zstd"
_ZSTD_WINDOW: Final = 8 * 1024 * 1024
_GZIP_NAMES: Final = frozenset({b"gzip", b"x-gzip"})
_IDENTITY: Final = frozenset({b"", b"identity"})
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
# About half a millisecond of work; then other requests run.
_SLICE_BYTES: Final = 256 * 1024


_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_MAX_HEADER: Final = 18
_ZSTD_RLE_BLOCK: Final = 1
_ZSTD_STEPS_PER_SLICE: Final = 5_000
_DISCONNECT_POLL_SECONDS: Final = 0.1


class ClientDisconnected(Exception):
    """The client closed the connection before its request was complete."""


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has disconnected."""
    # A transport may first return the rest of the request, in any number of messages.
    while (await receive())["type"] != "http.disconnect":  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(_DISCONNECT_POLL_SECONDS)


async def read_document(
    receive: Receive,
    announced: int,
    encoding: bytes,
    limit: int,
    memory: Lease,
    *,
    takes_zstd: bool = False,
) -> bytes:
    """Return the body of a request as JSON; an empty body is an empty object.

    Args:
        receive: the ASGI receive callable.
        announced: the Content-Length, or 0.
        encoding: the Content-Encoding, or empty.
        limit: the largest size in bytes, before and after decompression.
        memory: the request's lease, which the body counts against.
        takes_zstd: whether the body may be compressed with zstd.

    Raises:
        TooLarge: the body exceeds the limit.
        UnsupportedEncoding: the encoding is not supported, or is applied more than once.
        BadRequest: the compressed data is corrupt or truncated, or more data follows it.
        BudgetExhausted: other requests hold too much memory.
        ClientDisconnected: the body is incomplete.
    """
    if announced > limit:
        raise _too_large(limit)
    is_zstd = takes_zstd and encoding.strip(b", \t").lower() == ZSTD
    inflate = not is_zstd and bool(encoding) and _is_gzip(encoding, takes_zstd=takes_zstd)
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        memory.take(len(chunk))
        chunks.append(chunk)
        more = message.get("more_body", False)
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    chunks.clear()
    if (inflate or is_zstd) and body:
        inflating = _unpacked(body, limit, memory) if is_zstd else _inflated(body, limit, memory)
        received, body = len(body), await inflating
        memory.hold(-received)
    return body or b"{}"


def _is_gzip(encoding: bytes, *, takes_zstd: bool) -> bool:
    """Return whether a body is compressed with gzip.

    Raises:
        UnsupportedEncoding: it has another encoding.
    """
    codings = [one.strip(b" \t").lower() for one in encoding.split(b",")]
    applied = [one for one in codings if one not in _IDENTITY]
    if not applied:
        return False
    if len(applied) == 1 and applied[0] in _GZIP_NAMES:
        return True
    supported = "gzip or zstd" if takes_zstd else "gzip"
    raise UnsupportedEncoding(f"The body may be compressed once, with {supported}, or not at all")


async def _inflated(body: bytes, limit: int, memory: Lease) -> bytes:
    # Only one member, because each costs a new window, and an empty one has only 20 bytes.
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    pieces: list[bytes] = []
    size = 0
    while body:
        try:
            pieces.append(inflater.decompress(body, _SLICE_BYTES))
        except zlib.error as error:
            raise BadRequest("The body is not a valid gzip stream") from error
        size += len(pieces[-1])
        if size > limit:
            raise _too_large(limit)
        memory.take(len(pieces[-1]))
        body = inflater.unconsumed_tail
        if body:
            await asyncio.sleep(0)
    if not inflater.eof:
        raise BadRequest("The body ends before its gzip stream ends")
    if inflater.unused_data:
        raise BadRequest("The gzip stream of the body ends before the body ends")
    return b"".join(pieces)


async def _unpacked(body: bytes, limit: int, memory: Lease) -> bytes:
    pieces: list[bytes] = []
    size = 0
    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(body)
    while True:
        try:
            piece = reader.read(_SLICE_BYTES)
        except zstandard.ZstdError as error:
            raise BadRequest("The body is not a valid zstd frame") from error
        if not piece:
            break
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        memory.take(len(piece))
        pieces.append(piece)
        await asyncio.sleep(0)
    # The reader does not report that the last frame is truncated.
    if not await _ends_with_frame(body):
        raise BadRequest("The body ends before its zstd frame ends")
    return b"".join(pieces)


async def _ends_with_frame(body: bytes) -> bool:
    """Return whether the last frame of decompressed zstd data is complete.

    This reads only the headers of frames and blocks (RFC 8878, section 3.1.1).
    """
    place = steps = checksum_bytes = 0
    in_frame = False
    while place < len(body):
        steps += 1
        if steps % _ZSTD_STEPS_PER_SLICE == 0:
            await asyncio.sleep(0)
        if in_frame:
            header = int.from_bytes(body[place : place + 3], "little")
            is_last, kind = header & 1, header >> 1 & 3
            place += 3 + (1 if kind == _ZSTD_RLE_BLOCK else header >> 3)
            if is_last:
                in_frame = False
                place += checksum_bytes
            continue
        frame = body[place : place + _ZSTD_MAX_HEADER]
        if not frame.startswith(_ZSTD_MAGIC):
            # A skippable frame.
            place += 8 + int.from_bytes(frame[4:8], "little")
            continue
        try:
            checksum_bytes = 4 * zstandard.get_frame_parameters(frame).has_checksum
        except zstandard.ZstdError:
            return False
        place += zstandard.frame_header_size(frame)
        in_frame = True
    return place == len(body) and not in_frame


def _too_large(limit: int) -> TooLarge:
    message = f"The request is too large: at most {limit} bytes are accepted"
    return TooLarge(message, Limit("request_bytes", limit))
