"""A port that a server can be started on again after it was stopped."""

import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Generator[int]:
    """A free port of the loopback address that nobody else is given until the end of the block.

    A connection to it is refused unless the test starts a server there.
    """
    with socket.socket() as reserving:
        reserving.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserving.bind(("127.0.0.1", 0))
        port: int = reserving.getsockname()[1]
        if sys.platform != "linux":
            # Only Linux lets a server listen on a port to which another socket is bound.
            reserving.close()
        yield port
