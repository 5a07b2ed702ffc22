"""The messages that subscribers with equal filters have not taken yet."""

from __future__ import annotations

from collections import deque
from typing import Final

from prefactor_server.api.events.deflate import Message
from prefactor_server.domain.errors import Unavailable
from prefactor_server.http.memory_budget import Lease

MAX_MESSAGES: Final = 64
"""How many messages a subscriber may be behind: 16 seconds at four messages a second."""

MAX_BYTES: Final = 256 * 1024
"""How many bytes of messages are kept for slow subscribers, besides the newest message."""


class MessageLog:
    """A bounded log of encoded messages, numbered from 0.

    Its memory does not grow with the number of readers. A reader remembers the number of its next
    message. A reader whose next message was dropped has missed messages.
    """

    def __init__(self, memory: Lease) -> None:
        self._memory = memory
        self._messages: deque[Message] = deque()
        self._first = 0
        self._size = 0

    @property
    def end(self) -> int:
        """The number of the next message."""
        return self._first + len(self._messages)

    def reaches(self, number: int) -> bool:
        """Return whether all messages from a number on are still in the log."""
        return number >= self._first

    def message(self, number: int) -> Message:
        """Return the message with a number, which must still be in the log."""
        return self._messages[number - self._first]

    def append(self, message: Message) -> None:
        """Add a message. Beyond the limits, the oldest are dropped; without memory, all others."""
        try:
            self._memory.take(len(message.data))
        except Unavailable:
            self.clear()
            # Kept in any case. Its size is bounded by that of a slice of the feed.
            self._memory.hold(len(message.data))
        self._messages.append(message)
        self._size += len(message.data)
        while len(self._messages) > MAX_MESSAGES or (
            self._size > MAX_BYTES and len(self._messages) > 1
        ):
            self._drop_first()

    def drop_before(self, number: int) -> None:
        """Drop the messages before a number, because every reader has taken them."""
        while self._messages and self._first < number:
            self._drop_first()

    def clear(self) -> None:
        """Drop all messages. Their numbers are not used again."""
        while self._messages:
            self._drop_first()

    def _drop_first(self) -> None:
        size = len(self._messages.popleft().data)
        self._first += 1
        self._size -= size
        self._memory.hold(-size)
