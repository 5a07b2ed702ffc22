"""The listening socket and its URL."""

from __future__ import annotations

import socket


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        OSError: listening failed. The message says what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(
            error.errno,
            f"Cannot listen on {host} port {port}: {error.strerror}. "
            "Choose another with --host and --port (port 0 picks a free one).",
        ) from error
    listener.set_inheritable(True)
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL of a socket, with the loopback address if it listens on all addresses."""
    host: str = listener.getsockname()[0]
    port: int = listener.getsockname()[1]
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to
    shown = everywhere.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
