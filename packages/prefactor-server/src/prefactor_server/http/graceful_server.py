"""Uvicorn's server, which stops gracefully on a signal."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

import structlog
import uvicorn

_log = structlog.get_logger("prefactor_server")


class GracefulServer(uvicorn.Server):
    """Uvicorn's server, with callbacks and without ending the process itself.

    ``on_started`` is called once it accepts requests, ``on_stopping`` before it stops.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        on_started: Callable[[], None],
        on_stopping: Callable[[], None],
        *,
        drain_seconds: int,
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._on_stopping = on_stopping
        self._drain_seconds = drain_seconds
        self._draining = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting requests, and call ``on_started``."""
        await super().startup(sockets)
        if self.started:
            self._on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Report "not ready", and stop after ``drain_seconds``.

        During that time, load balancers see at ``/readyz`` that the server is stopping, and send
        requests elsewhere. A second signal stops at once.
        """
        if self._draining or not self._drain_seconds:
            self._stop(sig, frame)
            return
        self._draining = True
        self._on_stopping()
        _log.info("draining", signal=signal.Signals(sig).name, seconds=self._drain_seconds)
        loop = asyncio.get_running_loop()
        loop.call_later(self._drain_seconds, self._stop, signal.SIGTERM, None)

    def _stop(self, sig: int, frame: FrameType | None) -> None:
        self._on_stopping()
        if not self.should_exit:
            _log.info("stopping", signal=signal.Signals(sig).name)
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Stop on SIGTERM and SIGINT; a second SIGINT stops without waiting for requests.

        The inherited method re-raises the signal when the server has stopped, which would end the
        process before the last batch is written.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
