"""Raw bytes to and from a server, without an HTTP library, as a hostile caller sends them."""

import contextlib
import select
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from api_client import Answer

from live_server import LiveServer
from patience import patience

PATIENCE = 30.0
SECONDS = 3
"""The request timeout of the server in these tests, which check who is answered, never how fast.

A busy machine takes less than that from one part of a request to the next.
"""


class RawSocket:
    """One connection to a server."""

    def __init__(self, server: LiveServer) -> None:
        address = urlsplit(server.url)
        self.token = server.token
        self._socket = socket.create_connection(
            (address.hostname, address.port or 0), patience(PATIENCE)
        )
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Send bytes; a server that hung up in the middle of them is no error."""
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(data)

    def ask(self, method: str, path: str, *headers: str, body: bytes = b"") -> Answer:
        """Send one request with the server's token and read its answer."""
        self.send(self.request(method, path, *headers, body=body))
        return self.read()

    def request(self, method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
        """The bytes of a request with the server's token."""
        lines = [f"{method} {path} HTTP/1.1", "Host: here", f"Authorization: Bearer {self.token}"]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body

    def read(self, *, without_body: bool = False) -> Answer:
        """The next answer. Raises ConnectionError when the server hangs up before it.

        Args:
            without_body: Whether it is an answer to HEAD, which tells a length and has no body.
        """
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        size = 0 if without_body else int(headers.get("content-length", "0"))
        while len(self._buffer) < size:
            self._receive()
        text = self._buffer[:size].decode(errors="surrogateescape")
        self._buffer = self._buffer[size:]
        return Answer(int(first.split()[1]), headers, text)

    def rest(self) -> bytes:
        """Everything until the server hangs up."""
        with contextlib.suppress(ConnectionError):
            while True:
                self._receive()
        return self._buffer

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def shrink_buffer(self) -> None:
        """Make the system's receive buffer small."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)

    def has_answer(self) -> bool:
        """Whether bytes arrive within a second."""
        return bool(select.select([self._socket], [], [], 1.0)[0])

    def receive(self, size: int) -> None:
        """Read some of the bytes that have arrived."""
        self._receive(size)

    def _receive(self, size: int = 65536) -> None:
        data = self._socket.recv(size)
        if not data:
            raise ConnectionError(f"The server hung up; it had said {self._buffer!r}")
        self._buffer += data


@contextlib.contextmanager
def connected(server: LiveServer) -> Iterator[RawSocket]:
    """A connection until the end of the block."""
    connection = RawSocket(server)
    try:
        yield connection
    finally:
        connection.close()
