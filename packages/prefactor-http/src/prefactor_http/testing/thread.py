"""A listener on an event loop in a separate thread."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefactor_http.testing.listener import Listener


class ListenerThread:
    """Opens a listener in a thread and closes it there."""

    def __init__(self, listener: Listener) -> None:
        """Prepare a thread for `listener`."""
        self._listener = listener
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread and wait until the listener is open.

        Raises:
            OSError: The listener cannot be opened.
        """
        opened: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(opened)), name="scripted server", daemon=True
        )
        self._thread.start()
        self._loop = opened.result()

    def stop(self) -> None:
        """Close the listener and wait for the thread to end."""
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop = self._thread = None

    async def _run(self, opened: Future[asyncio.AbstractEventLoop]) -> None:
        try:
            await self._listener.open()
        except OSError as error:
            opened.set_exception(error)
            return
        opened.set_result(asyncio.get_running_loop())
        await self._stop.wait()
        await self._listener.close()
