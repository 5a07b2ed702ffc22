"""The hub of live events: one reader of the change feed for all subscribers of this process."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from prefactor_server.api.events.deflate import Message
from prefactor_server.api.events.log import MessageLog
from prefactor_server.domain.change import IMPORTED, Change
from prefactor_server.domain.errors import Overloaded, Unavailable
from prefactor_server.domain.event import ChangedRows, EventFilter
from prefactor_server.http.memory_budget import MemoryBudget
from prefactor_server.json_log import trace_of
from prefactor_server.queries.event import EventQueries

_SLICE: Final = 1000
"""How many changed rows are read at a time; a commit is never cut."""

_MAX_SLICES_TO_CATCH_UP: Final = 40
"""How many slices a resuming subscriber may be behind. Beyond that, a full reload is cheaper."""

_SECONDS_PER_STREAM: Final = 0.003
_MAX_WINDOW_SECONDS: Final = 1.0
"""The window grows with the number of streams, because each message to each is a system call."""

_RETRY_AFTER_SECONDS: Final = 10

_log = structlog.get_logger(__name__)


class TooManyStreams(Unavailable):
    """The server has reached its limit of open event streams."""

    retry_after = _RETRY_AFTER_SECONDS


class Draining(Unavailable):
    """The server is about to stop and opens no more event streams."""

    retry_after = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLimits:
    """The limits on the number of streams, and their timing.

    ``window_seconds`` is the minimum time between two messages of a stream. ``stream_seconds`` is
    how long a stream stays open. For it and for the numbers of streams, 0 means no limit.
    """

    max_streams: int = 0
    max_streams_per_account: int = 0
    stream_seconds: float = 0.0
    heartbeat_seconds: float = 15.0
    window_seconds: float = 0.25
    poll_seconds: float = 2.0


class EventObserver(Protocol):
    """Counts what is sent to streams. It is called often and must not raise."""

    def message_sent(self) -> None:
        """Count a message that was passed to a subscriber's connection."""

    def reload_sent(self) -> None:
        """Count a request to a subscriber to read everything again."""


class View:
    """The subscribers with equal filters, and the messages that pass the filter."""

    __slots__ = ("filter", "log", "subscriptions")

    def __init__(self, event_filter: EventFilter, log: MessageLog) -> None:
        self.filter = event_filter
        self.log = log
        self.subscriptions: set[Subscription] = set()

    def publish(self, message: Message) -> None:
        """Add a message and wake all subscribers."""
        self.log.drop_before(min(one.next_number for one in self.subscriptions))
        self.log.append(message)
        for one in self.subscriptions:
            one.wake()

    def force_reload(self) -> None:
        """Make every subscriber read everything again, because changes could not be sent."""
        self.log.append(Message(b""))
        self.log.clear()
        for one in self.subscriptions:
            one.wake()


class Subscription:
    """One subscriber, and its progress through the messages of its view.

    ``resume_after`` is the position that it has already seen, or None for a new stream. ``begin``
    is the position after which it takes the messages of the view. ``next_number`` is the number of
    the next message to take.
    """

    __slots__ = (
        "_hub",
        "_waiter",
        "begin",
        "closed",
        "next_number",
        "on_close",
        "resume_after",
        "view",
    )

    def __init__(self, hub: EventHub, view: View, begin: int, resume_after: int | None) -> None:
        self._hub = hub
        self.view = view
        self.begin = begin
        self.resume_after = resume_after
        self.next_number = view.log.end
        self.closed = False
        self.on_close: Callable[[], None] = lambda: None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def position(self) -> int:
        """The position that a subscriber has reached once it has taken all messages."""
        return self._hub.position

    @property
    def has_lost(self) -> bool:
        """Whether messages were dropped before this subscriber took them."""
        return not self.view.log.reaches(self.next_number)

    def take(self) -> Message | None:
        """Return the next message, or None."""
        log = self.view.log
        if self.next_number == log.end:
            return None
        self.next_number += 1
        return log.message(self.next_number - 1)

    def skip_all(self) -> None:
        """Skip all messages that are not taken yet."""
        self.next_number = self.view.log.end

    def backlog(self) -> AsyncGenerator[Message | None]:
        """See ``EventHub.backlog``."""
        return self._hub.backlog(self)

    async def wait(self) -> None:
        """Wait until a message arrives, a timer wakes the stream, or the subscription closes."""
        if self.closed or self.next_number != self.view.log.end:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def wake(self) -> None:
        """End the wait."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """End the subscription. Repeated calls do nothing."""
        if not self.closed:
            self.closed = True
            self._hub.leave(self)
            self.on_close()
            self.wake()


class EventHub:
    """Reads the feed while there are subscribers, and passes each view its messages.

    ``render`` encodes the rows of one account that pass a filter as the message for a position.
    """

    def __init__(
        self,
        queries: EventQueries,
        render: Callable[[int, ChangedRows, EventFilter], bytes],
        *,
        limits: EventLimits,
        budget: MemoryBudget,
    ) -> None:
        self._queries = queries
        self._render = render
        self.limits = limits
        self._budget = budget
        self.observer: EventObserver | None = None
        self.position = 0
        self._views: dict[EventFilter, View] = {}
        self._streams: Counter[str] = Counter()
        self._reading: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        # Held while a slice becomes messages, so that a new subscriber gets all or none of them.
        self._lock = asyncio.Lock()
        self._draining = False

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return self._streams.total()

    def wake(self) -> None:
        """Read the feed soon, because something may have changed."""
        self._woken.set()

    def close(self) -> None:
        """End every subscription and accept no new ones."""
        self._draining = True
        for view in tuple(self._views.values()):
            for one in tuple(view.subscriptions):
                one.close()

    async def subscribe(self, event_filter: EventFilter, resume_after: int | None) -> Subscription:
        """Begin a subscription, after a position or now.

        Raises:
            Overloaded: the account has reached its limit of open streams.
            TooManyStreams: the server has reached its limit of open streams.
            Draining: the server is about to stop.
            Unavailable: the feed cannot be read.
        """
        self._admit(event_filter.account_id)
        self._streams[event_filter.account_id] += 1
        try:
            async with self._lock:
                return await self._join(event_filter, resume_after)
        except BaseException:
            self._release(event_filter.account_id)
            raise

    def leave(self, subscription: Subscription) -> None:
        """Remove a subscription, and stop reading the feed after the last one."""
        view = subscription.view
        view.subscriptions.discard(subscription)
        self._release(view.filter.account_id)
        if not view.subscriptions:
            view.log.clear()
            self._views.pop(view.filter, None)
        if not self._views:
            self._stop()

    async def backlog(self, subscription: Subscription) -> AsyncGenerator[Message | None]:
        """Yield the messages that a resuming subscriber has missed.

        A final None means that the subscriber must read everything again.
        """
        after, event_filter = subscription.resume_after, subscription.view.filter
        for _ in range(_MAX_SLICES_TO_CATCH_UP):
            if after is None or after >= subscription.begin:
                return
            changes = await self._queries.changes(after, _SLICE)
            # Checked after the read, because the oldest changes may be deleted at any time.
            if after < await self._queries.pruned_to():
                break
            changes = [one for one in changes if one.position <= subscription.begin]
            if not changes:
                return
            after = changes[-1].position
            for _, message in await self._messages(changes, [event_filter]):
                yield message
        yield None

    def _admit(self, account_id: str) -> None:
        limits = self.limits
        if self._draining:
            raise Draining("The server is about to stop: open the stream again in a second")
        if 0 < limits.max_streams <= self.streams:
            raise TooManyStreams(
                f"The server has {self.streams} event streams open, the most that it allows: "
                "try again later, or raise max_event_streams"
            )
        if 0 < limits.max_streams_per_account <= self._streams[account_id]:
            raise Overloaded(
                f"The account has {self._streams[account_id]} event streams open, the most that "
                "it may have: close one, or raise max_event_streams_per_account",
                _RETRY_AFTER_SECONDS,
            )

    def _release(self, account_id: str) -> None:
        self._streams[account_id] -= 1
        if not self._streams[account_id]:
            del self._streams[account_id]

    async def _join(self, event_filter: EventFilter, resume_after: int | None) -> Subscription:
        if self._reading is None:
            self.position = await self._queries.position()
        elif resume_after is not None and resume_after > self.position:
            # Another replica has sent the subscriber changes that this one has not read yet.
            while await self._read_slice():
                pass
        view = self._views.get(event_filter)
        if view is None:
            view = self._views[event_filter] = View(event_filter, MessageLog(self._budget.lease()))
        subscription = Subscription(self, view, self.position, resume_after)
        view.subscriptions.add(subscription)
        if self._draining:
            subscription.close()
        elif self._reading is None:
            loop = asyncio.get_running_loop()
            self._reading = loop.create_task(self._read())
            self._listening = loop.create_task(self._listen())
        return subscription

    def _stop(self) -> None:
        """Stop reading the feed until the next subscription."""
        for task in (self._reading, self._listening):
            if task is not None:
                task.cancel()
        self._reading = self._listening = None

    async def _listen(self) -> None:
        try:
            await self._queries.listen(self.wake)
        except Exception as error:  # noqa: BLE001 - the feed is also polled
            _log.error("events_failed", trace=trace_of(error))

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            self._woken.clear()
            pause = await self._read_once()
            await asyncio.sleep(max(0.0, began + pause - loop.time()))
            with suppress(TimeoutError):
                async with asyncio.timeout(self.limits.poll_seconds):
                    await self._woken.wait()

    async def _read_once(self) -> float:
        """Turn new changes into messages; return the minimum time until the next call."""
        try:
            async with self._lock:
                if await self._read_slice():
                    self._woken.set()
        except Unavailable as error:
            _log.warning("feed_not_read", reason=error.message)
            return self.limits.poll_seconds
        except Exception as error:  # noqa: BLE001 - one bad slice must not end the feed
            _log.error("events_failed", trace=trace_of(error))
            # If this fails too, the same changes are read again.
            with suppress(Exception):
                await self._start_over()
            return self.limits.poll_seconds
        window = min(self.streams * _SECONDS_PER_STREAM, _MAX_WINDOW_SECONDS)
        return max(self.limits.window_seconds, window)

    async def _start_over(self) -> None:
        """Skip the changes that caused an error, and make all subscribers read everything again."""
        async with self._lock:
            self.position = await self._queries.position()
            for view in self._views.values():
                view.force_reload()

    async def _read_slice(self) -> bool:
        """Read one slice; return whether there may be more."""
        changes = await self._queries.changes(self.position, _SLICE)
        if not changes:
            return False
        views = tuple(self._views.values())
        messages = await self._messages(changes, [view.filter for view in views])
        self.position = changes[-1].position
        for event_filter, message in messages:
            view = self._views.get(event_filter)
            if view is not None:
                view.publish(message)
        return sum(one.weight for one in changes) >= _SLICE

    async def _messages(
        self, changes: Sequence[Change], filters: Sequence[EventFilter]
    ) -> list[tuple[EventFilter, Message]]:
        """Return a message for each filter that at least one of the changes passes."""
        position = changes[-1].position
        filters_of: defaultdict[str, list[EventFilter]] = defaultdict(list)
        for event_filter in filters:
            filters_of[event_filter.account_id].append(event_filter)
        changes_of: defaultdict[str, list[Change]] = defaultdict(list)
        for change in changes:
            if change.account_id in filters_of and not change.flags & IMPORTED:
                changes_of[change.account_id].append(change)
        messages: list[tuple[EventFilter, Message]] = []
        for account_id, account_changes in changes_of.items():
            rows = await self._queries.rows(account_id, account_changes, filters_of[account_id])
            for event_filter in filters_of[account_id]:
                passing = rows.passing(event_filter)
                if passing.changes:
                    messages.append(
                        (event_filter, Message(self._render(position, passing, event_filter)))
                    )
        return messages
