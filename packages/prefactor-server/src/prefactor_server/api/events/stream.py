"""One open event stream: the server-sent events of a subscription, until either side ends it.

    retry: 1000            how soon a disconnected client may reconnect, in milliseconds
    event: ready           the stream begins after the position in its id
    event: changes         rows that changed, up to the position in its id
    event: reload          changes were lost: read everything again, then continue from its id
    : heartbeat            nothing happened; its id advances the position

Every block has an id. A disconnected client resumes after the last block that it read completely.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.types import Receive, Send

from prefactor_server.api.asgi.body import wait_for_disconnect
from prefactor_server.api.events.deflate import Deflate, Message
from prefactor_server.api.events.hub import EventLimits, EventObserver, Subscription
from prefactor_server.api.events.messages import (
    RETRY,
    ReloadReason,
    heartbeat_message,
    ready_message,
    reload_message,
)
from prefactor_server.http.memory_budget import Lease

HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"vary", b"accept-encoding"),
    # Nginx would otherwise buffer small messages.
    (b"x-accel-buffering", b"no"),
)

_SLICE_BYTES: Final = 64 * 1024

_LAST_WRITE_SECONDS: Final = 1.0
"""How long a client may take to read the current message when its stream is closed."""


class EventStream:
    """Sends the events of one subscription.

    With ``deflate`` they are compressed. ``is_allowed`` returns whether the caller may still see
    them, and is called every ``check_seconds``.
    """

    __slots__ = (
        "_check_at",
        "_check_seconds",
        "_deflate",
        "_ends_at",
        "_give_up",
        "_heartbeat_at",
        "_is_allowed",
        "_limits",
        "_loop",
        "_memory",
        "_observer",
        "_send",
        "_sending",
        "_subscription",
        "_timer",
    )

    def __init__(
        self,
        subscription: Subscription,
        send: Send,
        *,
        limits: EventLimits,
        observer: EventObserver | None,
        memory: Lease,
        is_allowed: Callable[[], Awaitable[bool]],
        check_seconds: float,
        deflate: bool = False,
    ) -> None:
        self._subscription = subscription
        self._send = send
        self._limits = limits
        self._observer = observer
        self._memory = memory
        self._is_allowed = is_allowed
        self._deflate = Deflate() if deflate else None
        self._check_seconds = max(1.0, check_seconds)
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._check_at = now + self._check_seconds
        self._heartbeat_at = now + limits.heartbeat_seconds
        self._ends_at = now + (limits.stream_seconds or float("inf"))
        self._timer: asyncio.TimerHandle | None = None
        self._give_up: asyncio.TimerHandle | None = None

    async def run(self, receive: Receive) -> None:
        """Send events until the client disconnects, loses access, or the server stops."""
        subscription = self._subscription
        subscription.on_close = self._on_close
        watch = self._loop.create_task(wait_for_disconnect(receive))
        watch.add_done_callback(lambda _: subscription.close())
        sending = self._sending = self._loop.create_task(self._send_events())
        self._on_timer()
        try:
            # Waited for, not awaited, because its cancellation must not look like the request's.
            await asyncio.wait([sending])
        finally:
            subscription.close()
            sending.cancel()
            watch.cancel()
            for timer in (self._timer, self._give_up):
                if timer is not None:
                    timer.cancel()
        if sending.cancelled():
            await self._send({"type": "http.response.abort"})
            return
        sending.result()
        end = b"" if self._deflate is None else self._deflate.end()
        await self._send({"type": "http.response.body", "body": end, "more_body": False})

    async def _send_events(self) -> None:
        subscription = self._subscription
        await self._begin()
        while not subscription.closed:
            await self._step()
            await subscription.wait()

    def _on_close(self) -> None:
        """Abort the stream soon if its client does not read."""
        self._give_up = self._loop.call_later(_LAST_WRITE_SECONDS, self._sending.cancel)

    async def _begin(self) -> None:
        """Send the first event, then the messages that the subscriber has missed."""
        subscription = self._subscription
        after, begin = subscription.resume_after, subscription.begin
        if after is not None and after > begin:
            await self._reload(begin, "unknown_position")
            return
        await self._write(Message(RETRY + ready_message(begin if after is None else after)))
        async for message in subscription.backlog():
            if subscription.closed:
                return
            if message is None:
                await self._reload(begin, "too_far_behind")
            else:
                await self._write(message)

    async def _reload(self, position: int, reason: ReloadReason) -> None:
        await self._write(Message(reload_message(position, reason)))
        if self._observer is not None:
            self._observer.reload_sent()

    async def _step(self) -> None:
        """Send waiting messages, and a heartbeat if it is due."""
        subscription = self._subscription
        while await self._may_go_on():
            if subscription.has_lost:
                subscription.skip_all()
                await self._reload(subscription.position, "too_slow")
                continue
            message = subscription.take()
            if message is None:
                break
            await self._write(message)
        if self._loop.time() >= self._heartbeat_at and not subscription.closed:
            await self._write(Message(heartbeat_message(subscription.position)))

    async def _may_go_on(self) -> bool:
        """Close the subscription if its time is over or its caller has lost access."""
        now = self._loop.time()
        if now >= self._check_at:
            self._check_at = now + self._check_seconds
            if not await self._is_allowed():
                self._subscription.close()
        if now >= self._ends_at:
            self._subscription.close()
        return not self._subscription.closed

    async def _write(self, message: Message) -> None:
        """Send one message, and wait while the client does not read."""
        block = message.data if self._deflate is None else self._deflate.block(message)
        self._memory.hold(len(block))
        if len(block) <= _SLICE_BYTES:
            await self._send({"type": "http.response.body", "body": block, "more_body": True})
        else:
            for start in range(0, len(block), _SLICE_BYTES):
                piece = block[start : start + _SLICE_BYTES]
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        self._memory.shrink(0)
        self._heartbeat_at = self._loop.time() + self._limits.heartbeat_seconds
        if self._observer is not None:
            self._observer.message_sent()

    def _on_timer(self) -> None:
        """Wake the stream if something is due, and set the timer again.

        One timer that is rarely set costs less than a timeout for every wait.
        """
        now = self._loop.time()
        due = min(self._check_at, self._heartbeat_at, self._ends_at)
        if now >= due:
            self._subscription.wake()
            # The stream updates these times, but only when its client reads again.
            due = now + min(self._check_seconds, self._limits.heartbeat_seconds)
        self._timer = self._loop.call_at(due, self._on_timer)
