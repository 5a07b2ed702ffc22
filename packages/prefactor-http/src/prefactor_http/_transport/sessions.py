"""The sessions of a client: opened on first use, bound to a loop, and closed with it.

An HTTP session belongs to the event loop in which it was created. A client may outlive its loop
(a second `asyncio.run`, a loop per test), or serve several loops at once (a loop per thread), so it
has a session for each of them. One of another loop cannot be closed by awaiting. So each loop's
sessions are owned by an asynchronous generator: `asyncio.run` and other runners close a loop's
generators before the loop, and the loop also closes a dropped one. A client that was never closed
therefore leaves no open socket behind.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

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


class _LoopSessions(Generic[S]):
    """What belongs to one event loop. Only code that runs in the loop changes it."""

    __slots__ = ("keeper", "opened", "session", "single_use", "watcher")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.watcher = TimeoutWatcher(loop)
        self.session: S | None = None
        self.single_use: S | None = None
        self.opened: list[S] = []
        self.keeper: AsyncGenerator[None, None] | None = None


class Sessions(Generic[S]):
    """For each loop, a session and a second one whose connections are never reused.

    Args:
        connect: Opens a session.
        given: The caller's session. It is used as it is, in every loop, and never closed here.
    """

    def __init__(self, connect: Connect[S], given: S | None = None) -> None:
        """Open nothing yet, because the loop may not be running."""
        self.given = given
        self.close_count = 0
        """The number of calls of `close`. A call that sees it change must not start again."""
        self._connect = connect
        self._replaced = given
        self._loops: dict[asyncio.AbstractEventLoop, _LoopSessions[S]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy without open sessions."""
        return type(self), (self._connect, self.given)

    @property
    def current(self) -> S | None:
        """The session of the running loop, or of any loop if none is running.

        Settable, because tests replace it.
        """
        if self._replaced is not None:
            return self._replaced
        try:
            return self._of_running_loop().session
        except RuntimeError:
            return next((mine.session for mine in self._loops.values() if mine.session), None)

    @current.setter
    def current(self, session: S | None) -> None:
        self._replaced = session
        if session is None:
            self._loops = {}

    @property
    def ready(self) -> bool:
        """Whether the current session is open."""
        session = self.current
        return session is not None and not session.closed

    async def ensure(self) -> S:
        """Return the session of the running loop, opening one if needed.

        Safe for any number of tasks, because nothing is awaited between the check and the change.
        """
        session = self.current
        if session is not None and not session.closed:
            return session
        if self.given is not None:
            if self.given.closed:
                message = "The session that was passed to the client is closed"
                raise PrefactorClientError(message)
            self._replaced = self.given
            return self.given
        return await self._open()

    def timeout_watcher(self) -> TimeoutWatcher:
        """Return the timeout watcher of the running loop."""
        return self._of_running_loop().watcher

    async def _open(self) -> S:
        self._replaced = None
        mine = self._of_running_loop()
        mine.session = session = self._connect(single_use=False)
        mine.single_use = None
        mine.opened = [session]
        # This drops the generator of earlier sessions, and the loop closes them.
        mine.keeper = _keep(mine.opened)
        await anext(mine.keeper)
        return session

    def single_use(self) -> S:
        """Return a session whose connections are all new. Use only while `current` is open."""
        mine = self._of_running_loop()
        if mine.single_use is None:
            mine.single_use = self._connect(single_use=True)
            mine.opened.append(mine.single_use)
        return mine.single_use

    async def close(self) -> None:
        """Close the sessions opened here, and drop the current one. Repeating it is harmless.

        The sessions of other loops are closed by those loops.
        """
        self.close_count += 1
        replaced, self._replaced = self._replaced, None
        keeper = self._of_running_loop().keeper
        # This drops the generators of the other loops.
        self._loops = {}
        if keeper is not None:
            await keeper.aclose()
        if replaced is not None and replaced is not self.given and not replaced.closed:
            await replaced.close()

    def _of_running_loop(self) -> _LoopSessions[S]:
        loop = asyncio.get_running_loop()
        mine = self._loops.get(loop)
        if mine is None:
            for other in list(self._loops):
                if other.is_closed():
                    self._loops.pop(other, None)
            mine = self._loops[loop] = _LoopSessions(loop)
        return mine


async def _keep(sessions: list[S]) -> AsyncGenerator[None, None]:
    # Not a method, because a reference to the owner would keep both alive until the garbage
    # collector finds the cycle.
    try:
        yield
    finally:
        for session in sessions:
            await session.close()
