"""Parses server-sent events from bytes as they arrive."""

from __future__ import annotations

from typing import NamedTuple


class EventBlock(NamedTuple):
    """One block of an event stream. Without `data` it only advances the position."""

    event: str
    data: bytes
    last_event_id: str | None
    """The latest id that the stream has sent."""


class EventParser:
    """Parses the bytes of one stream, in pieces of any size, into complete blocks.

    A block that was cut off is discarded.

    Args:
        limit: Maximum bytes of a block.
    """

    def __init__(self, limit: int) -> None:
        """Create a parser for a new stream."""
        self._limit = limit
        self._unread = bytearray()
        self._searched = 0
        self.last_event_id: str | None = None

    def feed(self, piece: bytes) -> list[EventBlock]:
        """Parse more bytes.

        Raises:
            ValueError: A block exceeds the limit.
        """
        self._unread += piece
        blocks: list[EventBlock] = []
        while (end := self._unread.find(b"\n\n", self._searched)) >= 0:
            block = self._block(bytes(self._unread[:end]))
            del self._unread[: end + 2]
            self._searched = 0
            if block is not None:
                blocks.append(block)
        self._searched = max(0, len(self._unread) - 1)
        if len(self._unread) > self._limit:
            message = f"An event has more than {self._limit} bytes"
            raise ValueError(message)
        return blocks

    def _block(self, text: bytes) -> EventBlock | None:
        event, data = "message", list[bytes]()
        for line in text.split(b"\n"):
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name == b"event":
                event = value.decode("utf-8", "replace")
            elif name == b"id" and b"\0" not in value:
                self.last_event_id = value.decode("utf-8", "replace")
        return EventBlock(event, b"\n".join(data), self.last_event_id) if data else None
