"""Follows live events: one stream over several connections."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Protocol

from prefactor_http._transport.event_parser import EventBlock, EventParser
from prefactor_http.endpoints._base import to_model
from prefactor_http.exceptions import (
    PrefactorClientError,
    PrefactorHttpError,
    PrefactorResponseContractError,
    is_transient_http_error,
)
from prefactor_http.models.event import LiveEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

_KINDS = frozenset({"ready", "changes", "reload"})
_OPERATION = "GET /api/v1/events"


class OpenedStream(Protocol):
    """A response whose body has not ended."""

    async def read(self) -> bytes:
        """Wait for the next part of the body; empty at its end.

        Raises:
            PrefactorNetworkError: The connection failed, or was silent for too long.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class EventStream:
    """An asynchronous iterator over live events, opened by `PrefactorHttpClient.events`.

    Use it with `async with`, or call `aclose()` at the end. It reconnects and requests missed
    changes, as long as failures are transient. Only one task at a time may iterate.

    Args:
        connect: Opens the stream after an id, with the retries of any call.
        pause: Waits before another attempt, longer after each failure.
        last_event_id: The position to begin after; None for now.
        max_block_bytes: Maximum bytes of one event.
    """

    def __init__(
        self,
        connect: Callable[[int | None], Awaitable[OpenedStream]],
        pause: Callable[[int], Awaitable[None]],
        *,
        last_event_id: int | None,
        max_block_bytes: int,
    ) -> None:
        """Create a stream, which is not open yet."""
        self._connect = connect
        self._pause = pause
        self._max_block_bytes = max_block_bytes
        self._opened: OpenedStream | None = None
        self._parser: EventParser | None = None
        self._events: list[LiveEvent] = []
        self._has_begun = False
        self._closed = False
        self.last_event_id = last_event_id
        """The position up to which events were returned."""

    async def __aenter__(self) -> Self:
        """Open the stream.

        Raises:
            PrefactorHttpError: As for any call.
        """
        await self._open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Close the stream."""
        await self.aclose()

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> LiveEvent:
        """Wait for the next event, reconnecting if necessary.

        Raises:
            PrefactorApiError: The server ended the stream, for example because the token was
                revoked.
            PrefactorResponseContractError: Something other than an event arrived.
        """
        failures = 0
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            try:
                if self._opened is None:
                    await self._open()
                failures = 0 if await self._read() else failures + 1
            except PrefactorHttpError as error:
                self._disconnect()
                if not self._has_begun or not is_transient_http_error(error):
                    raise
                failures += 1
            if failures and not self._closed:
                await self._pause(failures)
        event = self._events.pop(0)
        self.last_event_id = event.position
        return event

    async def aclose(self) -> None:
        """Close the connection and end the iteration. Repeating it is harmless."""
        self._closed = True
        self._disconnect()
        # The transport closes its socket in the next iteration of the loop.
        await asyncio.sleep(0)

    async def _open(self) -> None:
        if self._closed:
            message = "The event stream is closed: open another one with client.events()"
            raise PrefactorClientError(message)
        if self._opened is None:
            self._opened = await self._connect(self.last_event_id)
            self._parser = EventParser(self._max_block_bytes)

    async def _read(self) -> bool:
        """Read some events; return whether the connection is still open."""
        opened, parser = self._opened, self._parser
        if opened is None or parser is None:
            return False
        piece = await opened.read()
        if not piece:
            self._disconnect()
            return False
        try:
            blocks = parser.feed(piece)
        except ValueError as error:
            raise PrefactorResponseContractError(str(error), cause=error) from error
        self._events += [event for block in blocks if (event := self._event(block)) is not None]
        if not self._events and parser.last_event_id is not None:
            try:
                self.last_event_id = int(parser.last_event_id)
            except ValueError as error:
                message = f"Invalid event id in {_OPERATION}: it must be a number"
                raise PrefactorResponseContractError(message, cause=error) from error
        return True

    def _event(self, block: EventBlock) -> LiveEvent | None:
        """Return the event in a block, or None if the caller does not need it."""
        if block.event not in _KINDS:
            return None
        if block.event == "ready" and self._has_begun:
            # The connection is new, but the stream is not.
            return None
        self._has_begun = True
        try:
            data: Any = json.loads(block.data)
            fields = {**data, "kind": block.event, "position": int(block.last_event_id or "")}
        except (TypeError, ValueError, RecursionError) as error:
            message = f"Invalid event {block.event!r} in {_OPERATION}"
            raise PrefactorResponseContractError(message, cause=error) from error
        return to_model(fields, LiveEvent, _OPERATION)

    def _disconnect(self) -> None:
        opened, self._opened = self._opened, None
        self._parser = None
        if opened is not None:
            opened.close()
