"""The sessions of a client: opened on first use, bound to a loop, and closed with it.

An HTTP session belongs to the event loop in which it was created. A client that outlives its loop
(a second `asyncio.run`, a loop per test) needs a new session, and the old one can no longer be
closed by awaiting. So each loop's sessions are owned by an asynchronous generator: `asyncio.run`
and other runners close a loop's generators before the loop, and the loop also closes a dropped one.
A client that was never closed therefore leaves no open socket behind.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from prefactor_http._transport.limits import TimeoutWatcher
from prefactor_http.exceptions import PrefactorClientError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Closable(Protocol):
    """The part of a session that is used here."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        ...

    async def close(self) -> None:
        """Close it and its connections."""
        ...


S = TypeVar("S", bound=Closable)
S_co = TypeVar("S_co", bound=Closable, covariant=True)


class Connect(Protocol[S_co]):
    """Opens a session."""

    def __call__(self, *, single_use: bool) -> S_co:
        """Open a session whose connections are never reused if `single_use`."""
        ...


class Sessions(Generic[S]):
    """The current session, and a second one whose connections are never reused.

    Args:
        connect: Opens a session.
        given: The caller's session. It is used as it is and never closed here.
    """

    def __init__(self, connect: Connect[S], given: S | None = None) -> None:
        """Open nothing yet, because the loop may not be running."""
        self.current: S | None = given
        """The current session. Tests may replace it."""
        self.given = given
        self.close_count = 0
        """The number of calls of `close`. A call that sees it change must not start again."""
        self._connect = connect
        self._own: S | None = None
        self._single_use: S | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watcher: TimeoutWatcher | None = None
        self._opened: list[S] = []
        self._keeper: AsyncGenerator[None, None] | None = None

    @property
    def ready(self) -> bool:
        """Whether the current session is open and belongs to the running loop."""
        session = self.current
        if session is None or session.closed:
            return False
        return session is not self._own or self._loop is asyncio.get_running_loop()

    async def ensure(self) -> S:
        """Return the session of the running loop, opening one if needed.

        Safe for any number of tasks, because nothing is awaited between the check and the change.
        """
        if self.ready and self.current is not None:
            return self.current
        if self.given is not None:
            if self.given.closed:
                message = "The session that was passed to the client is closed"
                raise PrefactorClientError(message)
            self.current = self.given
            return self.given
        return await self._open()

    def timeout_watcher(self) -> TimeoutWatcher:
        """Return the timeout watcher of the running loop."""
        loop = asyncio.get_running_loop()
        if self._watcher is None or self._watcher.loop is not loop:
            self._watcher = TimeoutWatcher(loop)
        return self._watcher

    async def _open(self) -> S:
        self._loop = asyncio.get_running_loop()
        self._single_use = None
        self.current = self._own = session = self._connect(single_use=False)
        self._opened = [session]
        # This drops the generator of an earlier loop, and that loop closes its sessions.
        self._keeper = _keep(self._opened)
        await anext(self._keeper)
        return session

    def single_use(self) -> S:
        """Return a session whose connections are all new. Use only while `current` is open."""
        if self._single_use is None:
            self._single_use = self._connect(single_use=True)
            self._opened.append(self._single_use)
        return self._single_use

    async def close(self) -> None:
        """Close the sessions opened here, and drop the current one. Repeating it is harmless."""
        self.close_count += 1
        session, self.current, self._own = self.current, None, None
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await keeper.aclose()
        if session is not None and session is not self.given and not session.closed:
            await session.close()


async def _keep(sessions: list[S]) -> AsyncGenerator[None, None]:
    # Not a method, because a reference to the owner would keep both alive until the garbage
    # collector finds the cycle.
    try:
        yield
    finally:
        for session in sessions:
            await session.close()
