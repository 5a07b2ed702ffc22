"""The connections of a scripted server: reads requests, sends responses and applies faults."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from prefactor_http.testing.faults import Delay, Drop, Reply, Reset, Stall, Step, StreamedReply
from prefactor_http.testing.wire import (
    MalformedRequestError,
    read_body,
    read_head,
    render,
    render_stream,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefactor_http.testing.wire import RecordedRequest

_LARGEST_HEAD = 1 << 20
_BACKLOG = 1024
# SO_LINGER with a timeout of 0, so that closing sends a reset.
_NO_LINGER = struct.pack("ii", 1, 0)
_TURNS_TO_START = 4
"""Turns of the event loop from accepting a connection to its task."""


class Listener:
    """Serves connections of one loopback socket until closed."""

    def __init__(
        self,
        next_step: Callable[[RecordedRequest], Step | None],
        answer: Callable[[RecordedRequest], Reply],
        idle_limit: float | None,
    ) -> None:
        """Create a listener that gets steps from `next_step` and responses from `answer`."""
        self._next_step = next_step
        self._answer = answer
        self._idle_limit = idle_limit
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.connections = 0

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port while listening, else None."""
        if self._server is None:
            return None
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def open(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, limit=_LARGEST_HEAD, backlog=_BACKLOG
        )

    async def close(self) -> None:
        """Stop listening and abort every open connection."""
        server, self._server = self._server, None
        if server is None:
            return
        # asyncio leaves a socket open that was accepted just before its server was closed. So no
        # more are accepted, and those that were start their tasks.
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening)
        for _ in range(_TURNS_TO_START):
            await asyncio.sleep(0)
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            await self._converse(reader, writer)
        except asyncio.CancelledError:
            # Not re-raised, because asyncio would log a cancelled handler. Only `close` cancels.
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            # The limit applies between requests, not before the first one.
            idle_limit = None
            while await self._exchange(reader, writer, number, idle_limit):
                idle_limit = self._idle_limit
        except (ConnectionError, TimeoutError):
            pass  # the client disconnected, or the idle limit expired
        except MalformedRequestError as error:
            refusal = Reply.error(400, "bad_request", str(error))
            writer.writelines(render(refusal, keeps_connection=False))
        finally:
            writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        number: int,
        idle_limit: float | None,
    ) -> bool:
        async with asyncio.timeout(idle_limit):
            head = await read_head(reader)
        body = await read_body(reader, head.headers) if head else None
        if head is None or body is None:
            return False
        request = replace(head, body=body, connection=number)
        step = self._next_step(request)
        if isinstance(step, (Drop, Reset, Stall)):
            await self._break(step, request, reader, writer)
            return False
        if isinstance(step, StreamedReply):
            for piece in render_stream(step):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)  # drain() of an empty buffer does not yield to other tasks
            return False
        if isinstance(step, Delay):
            await asyncio.sleep(step.seconds)
        reply = step if isinstance(step, Reply) else self._answer(request)
        writer.writelines(render(reply, keeps_connection=request.keeps_connection))
        await writer.drain()
        return request.keeps_connection

    async def _break(
        self,
        fault: Drop | Reset | Stall,
        request: RecordedRequest,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if fault.after != "request":
            head, body = render(self._answer(request), keeps_connection=True)
            sent = {"processing": b"", "headers": head, "half": head + body[: len(body) // 2]}
            writer.write(sent[fault.after])
            await writer.drain()
        if isinstance(fault, Reset):
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            writer.transport.abort()
        if isinstance(fault, Stall):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(fault.seconds):
                    await reader.read()  # ends early if the client disconnects
