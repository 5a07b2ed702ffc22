"""The messages that subscribers with equal filters have yet to take."""

from __future__ import annotations

from collections import deque
from typing import Final

from prefactor_server.api.events.deflate import Message
from prefactor_server.domain.errors import Unavailable
from prefactor_server.memory_budget import Lease

MAX_MESSAGES: Final = 64
"""How many messages a subscriber may be behind: sixteen seconds at four messages a second."""

MAX_BYTES: Final = 256 * 1024
"""How many bytes of messages are held for slow subscribers, in addition to the newest message."""


class MessageLog:
    """A bounded log of encoded messages, numbered from 0.

    Its memory does not grow with the number of its readers. A reader remembers how far it has read,
    and one that is behind the oldest message has lost some.
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
        """Return whether all messages from a number on are still held."""
        return number >= self._first

    def message(self, number: int) -> Message:
        """Return a message that is held."""
        return self._messages[number - self._first]

    def append(self, message: Message) -> None:
        """Add a message; the oldest go if there are too many, or the memory budget is exhausted."""
        try:
            self._memory.take(len(message.data))
        except Unavailable:
            self.clear()
            # The newest message is bounded by the size of a slice of the feed.
            self._memory.hold(len(message.data))
        self._messages.append(message)
        self._size += len(message.data)
        while len(self._messages) > MAX_MESSAGES or (
            self._size > MAX_BYTES and len(self._messages) > 1
        ):
            self._drop_first()

    def drop_before(self, number: int) -> None:
        """Drop the messages that every reader has taken."""
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
