"""A response of any size, produced while it is sent.

A piece is produced once the client has read the previous one, so the server keeps only one piece of
each download. Its memory is leased from the budget before the response begins.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

import structlog
from starlette.types import Receive, Send

from prefactor_server.api.asgi.body import wait_for_disconnect
from prefactor_server.api.asgi.response_encoding import Coding, new_compressor
from prefactor_server.http.memory_budget import Lease
from prefactor_server.json_log import trace_of

RESERVED_BYTES: Final = 2 * 1024 * 1024
"""The usual memory of a download: a piece, and the rows that were read for it."""

MAX_WHOLE_BYTES: Final = 16 * 1024 * 1024
"""The largest answer that is sent as a whole, with its length, rather than while it is produced."""

_SLICE_BYTES: Final = 64 * 1024

_log = structlog.get_logger(__name__)


class Download(NamedTuple):
    """The body of a response, in pieces."""

    content_type: bytes
    pieces: AsyncIterator[bytes]


async def begin(download: Download, memory: Lease) -> tuple[Sequence[bytes], Download | None]:
    """Return the pieces of a body, and None, or a download of all of it if it is large.

    ``memory`` holds the pieces until they are sent.
    """
    pieces: deque[bytes] = deque()
    size = 0
    async for piece in download.pieces:
        pieces.append(piece)
        size += len(piece)
        memory.hold(len(piece))
        if size > MAX_WHOLE_BYTES:
            return (), download._replace(pieces=_continued(pieces, download.pieces, memory))
    return [*pieces], None


async def _continued(
    pieces: deque[bytes], rest: AsyncIterator[bytes], memory: Lease
) -> AsyncIterator[bytes]:
    while pieces:
        piece = pieces.popleft()
        yield piece
        memory.hold(-len(piece))
    async for piece in rest:
        yield piece


class OpenedDownload(NamedTuple):
    """A response that is produced while it is sent, compressed if the client accepts that."""

    download: Download
    coding: Coding | None
    headers: tuple[tuple[bytes, bytes], ...]
    status: int = 200
    code: str = ""

    async def send(
        self,
        request_id: str,
        headers: Sequence[tuple[bytes, bytes]],
        receive: Receive,
        send: Send,
        memory: Lease,
    ) -> None:
        """Send it until it ends or the client disconnects. A failure aborts the connection."""
        encoded = () if self.coding is None else ((b"content-encoding", self.coding.encode()),)
        all_headers = [
            (b"content-type", self.download.content_type),
            (b"x-request-id", request_id.encode()),
            *headers,
            *self.headers,
            *encoded,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": all_headers})
        try:
            await self._send_pieces(receive, send, memory)
        except Exception as error:  # noqa: BLE001 - aborted, so that it does not seem complete
            _log.error("download_failed", request_id=request_id, trace=trace_of(error))
            await send({"type": "http.response.abort"})

    async def _send_pieces(self, receive: Receive, send: Send, memory: Lease) -> None:
        disconnected = asyncio.ensure_future(wait_for_disconnect(receive))
        compressor = None if self.coding is None else new_compressor(self.coding)
        try:
            async for piece in self.download.pieces:
                beyond_reserved = max(0, 2 * len(piece) - RESERVED_BYTES)
                memory.hold(beyond_reserved)
                body = piece
                if compressor is not None:
                    body = await asyncio.to_thread(compressor.compress, piece)
                for start in range(0, len(body), _SLICE_BYTES):
                    await _send(send, body[start : start + _SLICE_BYTES])
                    if disconnected.done():
                        return
                memory.hold(-beyond_reserved)
                # Sending does not wait for a client that reads fast.
                await asyncio.sleep(0)
            await _send(send, b"" if compressor is None else compressor.flush(), more=False)
        finally:
            disconnected.cancel()


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
