"""A proxy to PostgreSQL that breaks the connection at the worst moment, on request."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

_SOCKET = ".s.PGSQL.5432"


class LossyProxy:
    """Passes bytes on until it has to break a connection.

    ``lose`` "question": the client's next bytes never reach the server. "answer": they do, and the
    server carries them out, but the answer is lost. ``lose_answer_after``: the same, once a client
    has sent these bytes. ``questions`` counts the short messages of clients.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self.lose: Literal["", "question", "answer"] = ""
        self.lose_answer_after = b""
        self.losses = 0
        self.questions = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, from beginning to end."""
        try:
            from_server, to_server = await asyncio.open_unix_connection(str(self._target))
        except OSError:
            # The server has gone, so close the connection, as would happen without the proxy.
            writer.close()
            return
        answers = asyncio.create_task(self._pass_answers(from_server, writer))
        try:
            while data := await reader.read(1 << 16):
                self.questions += 1
                if self.lose:
                    await self._lose(data, reader, answers, to_server)
                    break
                if self.lose_answer_after and self.lose_answer_after in data:
                    self.lose_answer_after, self.lose = b"", "answer"
                to_server.write(data)
                await to_server.drain()
        except ConnectionError:
            pass
        finally:
            answers.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await answers
            writer.close()
            to_server.close()

    async def _lose(
        self,
        data: bytes,
        reader: asyncio.StreamReader,
        answers: asyncio.Task[None],
        to_server: asyncio.StreamWriter,
    ) -> None:
        what, self.lose = self.lose, ""
        self.losses += 1
        if what == "answer":
            answers.cancel()
            to_server.write(data)
            with suppress(TimeoutError):
                # Messages that follow at once belong to the same question.
                while more := await asyncio.wait_for(reader.read(1 << 16), 0.1):
                    to_server.write(more)
            await to_server.drain()

    async def _pass_answers(
        self, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(ConnectionError):
            while data := await from_server.read(1 << 16):
                writer.write(data)
                await writer.drain()
            writer.close()


@asynccontextmanager
async def lossy(url: str) -> AsyncIterator[tuple[LossyProxy, str]]:
    """A proxy before the server of an address, and the address that leads through it."""
    parts = urlsplit(url)
    target = Path(parse_qs(parts.query)["host"][0]) / _SOCKET
    with tempfile.TemporaryDirectory(prefix="prefactor-proxy-") as folder:
        proxy = LossyProxy(target)
        path = Path(folder) / _SOCKET
        server = await asyncio.start_unix_server(proxy.connected, str(path))
        try:
            yield proxy, parts._replace(query=f"host={folder}").geturl()
        finally:
            server.close()
