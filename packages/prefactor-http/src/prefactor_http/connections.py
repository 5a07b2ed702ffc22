"""How connections are made and bodies put on them: what the client needs of aiohttp's machinery."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from aiohttp import HttpVersion11, hdrs
from aiohttp.http import StreamWriter
from multidict import CIMultiDict

from .encoding import to_json_bytes, to_json_text
from .replies import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.abc import AbstractResolver, AbstractStreamWriter

    from .config import HttpClientConfig
    from .limits import Attempt

LARGE = 2**20
"""Bytes of a body beyond which aiohttp warns that sending it might block the event loop."""
PIECE = 2**18
"""Bytes that are written at a time of a larger body."""
SMALL = 2**15
"""Bytes of a body that surely fit into the buffer of a transport, whose limit is twice that."""
KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept: below the 5 s after which common servers close it."""

# aiohttp 3.14 takes a serializer that returns bytes, which saves decoding and encoding again.
_SERIALIZER: dict[str, Any] = (
    {"json_serialize_bytes": to_json_bytes}
    if "json_serialize_bytes" in (aiohttp.ClientSession.__init__.__kwdefaults__ or {})
    else {"json_serialize": to_json_text}
)

_RESPONSE_TAKES = {
    *("self", "method", "url", "writer", "continue100", "timer", "request_info", "traces"),
    *("loop", "session", "stream_writer"),
}
"""What `aiohttp.ClientResponse` takes in the versions whose requests `_Request` knows to send."""

current_attempt: ContextVar[Attempt | None] = ContextVar("current_attempt", default=None)
"""The attempt that the running task makes, to be told about its connection."""


class _Connector(aiohttp.TCPConnector):
    """Notes for the attempt in the current task whether its connection came from the pool.

    aiohttp's public way to learn this is a trace, which costs a tenth of the whole call. These
    are the methods that its base connector names for subclasses.
    """

    def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Assume the pool; `_create_connection` knows better."""
        attempt = current_attempt.get()
        if attempt is not None:
            attempt.from_pool = True
        return super().connect(*args, **kwargs)

    async def _create_connection(self, *args: Any, **kwargs: Any) -> Any:
        attempt = current_attempt.get()
        if attempt is not None:
            attempt.from_pool = False
        return await super()._create_connection(*args, **kwargs)


class _Request(aiohttp.ClientRequest):
    """Writes a small body at once, where aiohttp starts a task for it.

    Before Python 3.12 such a task waits for the next turn of the loop, which costs a seventh of
    the whole call. Whatever is not a plain request with a small body is left to aiohttp.
    """

    def update_headers(self, headers: Any) -> None:
        """Take the headers as the session has prepared them, after the host."""
        if type(cast("object", headers)) is not CIMultiDict or hdrs.HOST in headers:
            super().update_headers(headers)
            return
        host: Any = self.url.host_port_subcomponent
        self.headers: CIMultiDict[str] = CIMultiDict({hdrs.HOST: host})
        self.headers.extend(headers)

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        """Put the request on a connection."""
        protocol = conn.protocol
        if not self._is_plain(conn) or protocol.writing_paused:
            return await super().send(conn)
        writer = StreamWriter(protocol, self.loop)
        await writer.write_headers(f"{self.method} {self.url.raw_path_qs} HTTP/1.1", self.headers)
        body: Any = self._body
        await body.write(writer)
        writer.set_eof()  # and not write_eof(), which waits for the socket
        protocol.start_timeout()
        response = self.response_class(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=self._traces,
            loop=self.loop,
            session=self._session,
            stream_writer=writer,
        )
        self.response: Any = response
        return response

    def _is_plain(self, conn: Any) -> bool:
        """Whether headers and body are all there is to send, and cannot fill the socket."""
        body: Any = self._body
        headers = self.headers
        return (
            isinstance(body, aiohttp.BytesPayload)
            and (size := body.size or 0) <= SMALL
            and headers.get(hdrs.CONTENT_LENGTH) == str(size)
            and hdrs.CONTENT_TYPE in headers
            and not (self.chunked or self.compress or self._traces or self.proxy)
            and self._continue is None
            and self.version is HttpVersion11
            and not conn._connector.force_close  # noqa: SLF001 - as aiohttp asks
            and getattr(self, "_upload_tracker", None) is None
        )


def _knows_requests() -> bool:
    """Whether this is a version of aiohttp that `_Request` was written for."""
    code = getattr(aiohttp.ClientResponse.__init__, "__code__", None)  # none if it is compiled
    if code is None:
        return False
    count = code.co_argcount + code.co_kwonlyargcount
    return set(code.co_varnames[:count]) == _RESPONSE_TAKES


_REQUESTS: dict[str, Any] = {"request_class": _Request} if _knows_requests() else {}


def connect(
    config: HttpClientConfig,
    *,
    trust_env: bool,
    resolver: AbstractResolver | None,
    single_use: bool,
) -> aiohttp.ClientSession:
    """Open a session; the loop has to be running."""
    pool: dict[str, Any] = (
        {"force_close": True} if single_use else {"keepalive_timeout": KEEP_ALIVE}
    )
    return aiohttp.ClientSession(
        connector=_Connector(resolver=resolver, **pool),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=config.request_timeout, connect=config.connect_timeout),
        trust_env=trust_env,
        **_SERIALIZER,
        **_REQUESTS,
    )


class _Pieces(aiohttp.Payload):
    """A body that is written piece by piece, which aiohttp does not warn of as it does of bytes.

    Not `io.BytesIO`: older versions of aiohttp read that in the loop's executor, and at the exit
    of the interpreter no executor takes work any more.
    """

    _autoclose = True  # nothing is open

    def __init__(self, value: bytes) -> None:
        super().__init__(value, content_type="application/json")
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The text, which aiohttp may show."""
        content: bytes = self._value
        return content.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write everything, waiting for the socket in between."""
        content = memoryview(self._value)
        for start in range(0, len(content), PIECE):
            await writer.write(content[start : start + PIECE])


def in_pieces(body: bytes) -> aiohttp.Payload:
    """A large body for one trip; a second trip takes a new one."""
    return _Pieces(body)


async def ask_double(
    session: aiohttp.ClientSession, path: str, arguments: Mapping[str, Any]
) -> Reply:
    """One round trip with what stands in for a session, which knows five arguments."""
    async with session.request(**arguments) as response:
        return await read_double(response, path, arguments)


async def read_double(response: Any, path: str, arguments: Mapping[str, Any]) -> Reply:
    """What merely behaves like a response is asked for its text."""
    real = isinstance(response, aiohttp.ClientResponse)
    body: bytes | str = await (response.read() if real else response.text())
    return Reply(path, arguments["method"], response.status, body, response.headers)
