"""How connections are made and bodies put on them: what the client needs of aiohttp's machinery."""

from __future__ import annotations

import asyncio
import math
import zlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import aiohttp
from aiohttp import HttpVersion11, hdrs
from aiohttp.http import StreamWriter
from multidict import CIMultiDict

from prefactor_http._transport.encoding import EncodedBody, to_json_bytes, to_json_text
from prefactor_http._transport.inflate import UnreadableCodingError, coding_of, inflate
from prefactor_http._transport.responses import Reply, too_large, unreadable
from prefactor_http.exceptions import NETWORK_FAILURES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from aiohttp.abc import AbstractResolver, AbstractStreamWriter

    from prefactor_http._transport.limits import Attempt
    from prefactor_http.config import HttpClientConfig

LARGE_BODY = 2**20
"""Bytes of a body beyond which aiohttp warns that sending it might block the event loop."""
CHUNK_SIZE = 2**18
"""Bytes that are written at a time of a larger body."""
SMALL_BODY = 2**15
"""Bytes of a body that surely fit into the buffer of a transport, whose limit is twice that."""
_DIGITS = 19
"""Fewer digits than this make a number of bytes."""
EVENT_STREAM = "text/event-stream"
"""The media type of a stream."""
_OK = 200
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
            and (size := body.size or 0) <= SMALL_BODY
            and headers.get(hdrs.CONTENT_LENGTH) == str(size)
            and hdrs.CONTENT_TYPE in headers
            and not (self.chunked or self.compress or self._traces or self.proxy)
            and self._continue is None
            and self.version is HttpVersion11
            and not conn._connector.force_close  # noqa: SLF001 - as aiohttp asks
            and getattr(self, "_upload_tracker", None) is None
        )


def _is_supported_aiohttp() -> bool:
    """Whether this is a version of aiohttp that `_Request` was written for."""
    code = getattr(aiohttp.ClientResponse.__init__, "__code__", None)  # none if it is compiled
    if code is None:
        return False
    count = code.co_argcount + code.co_kwonlyargcount
    return set(code.co_varnames[:count]) == _RESPONSE_TAKES


_REQUESTS: dict[str, Any] = {"request_class": _Request} if _is_supported_aiohttp() else {}


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


class _ChunkedBody(aiohttp.Payload):
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
        for start in range(0, len(content), CHUNK_SIZE):
            await writer.write(content[start : start + CHUNK_SIZE])


def connect_timeout_only(config: HttpClientConfig) -> aiohttp.ClientTimeout:
    """No limit but that for connecting: the attempt is watched already, and a timer costs."""
    # aiohttp rounds longer limits up to a full second; ours are meant exactly.
    return aiohttp.ClientTimeout(
        total=None, connect=config.connect_timeout, ceil_threshold=math.inf
    )


def is_aiohttp_session(session: object) -> bool:
    """Whether it is a session of aiohttp, and no double of a test."""
    return isinstance(session, aiohttp.ClientSession) and "request" not in vars(session)


def session_arguments(
    arguments: Mapping[str, Any], timeout: aiohttp.ClientTimeout, *, given: bool
) -> dict[str, Any]:
    """The arguments of a request as a real session needs them.

    Args:
        arguments: What a double would be called with.
        timeout: The limits that are left to aiohttp.
        given: Whether the session is the caller's, with a serializer of its own.
    """
    # A redirect is an answer like any other, and we uncompress within limits.
    adapted = {
        **arguments,
        "timeout": timeout,
        "allow_redirects": False,
        "auto_decompress": False,
    }
    body: EncodedBody | None = arguments.get("json")
    data: bytes = arguments.get("data", b"") if body is None else body.encoded
    if len(data) > LARGE_BODY:
        adapted |= {"json": None, "data": _ChunkedBody(data)}  # a second trip takes a new one
    elif body is not None and given:
        adapted["json"] = body.detached()  # its serializer encodes the values once more
    return adapted


async def read_response(
    response: aiohttp.ClientResponse, method: str, path: str, limit: int
) -> Reply:
    """Read a response to its end, or until its body exceeds `limit` bytes.

    The body is uncompressed here and not by aiohttp, which does that without a limit and without
    letting anything else run, the time limit included.
    """
    status, headers = response.status, response.headers
    length = headers.get(hdrs.CONTENT_LENGTH)
    try:
        if length is None or hdrs.TRANSFER_ENCODING in headers or not _within(length, limit):
            body = await _read_pieces(response, limit)
        else:
            # text() would look for the character set and decode only for the JSON parser to
            # encode again, a tenth of the call.
            body = await response.read()
        if hdrs.CONTENT_ENCODING in headers and body:
            coding = coding_of(headers[hdrs.CONTENT_ENCODING])
            body = body if coding is None else await _inflated(body, coding, limit)
    except _TooLargeError:
        return Reply(path, method, status, b"", headers, too_large(method, path, status, limit))
    except UnreadableCodingError as error:
        defect = unreadable(method, path, status, str(error))
        return Reply(path, method, status, b"", headers, defect)
    return Reply(path, method, status, body, headers)


class _TooLargeError(Exception):
    """The body of a response exceeds the limit."""


def _within(length: str, limit: int) -> bool:
    """Whether a declared length is a number up to the limit; aiohttp reads no more than that."""
    return length.isascii() and length.isdigit() and len(length) < _DIGITS and int(length) <= limit


async def _read_pieces(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    try:
        while piece := await response.content.readany():
            body += piece
            if len(body) > limit:
                raise _TooLargeError
    except BaseException:
        response.close()
        raise
    await response.read()  # there is nothing left; it gives the connection back
    return bytes(body)


async def _inflated(body: bytes, coding: str, limit: int) -> bytes:
    whole = bytearray()
    try:
        for piece in inflate(body, coding):
            whole += piece
            if len(whole) > limit:
                raise _TooLargeError
            # The loop has its turn, and the time limit with it. A small body needs but one.
            await asyncio.sleep(0)
    except zlib.error as error:
        message = f"Can not decode content-encoding: {coding}"
        raise aiohttp.ClientPayloadError(message) from error
    return bytes(whole)


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


class StreamedResponse:
    """A response that is read while it comes.

    `refusal` is the whole response if it is not the stream that was asked for.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        refusal: Reply | None,
        as_ours: Callable[[Exception], Exception],
    ) -> None:
        """Read from a response whose head has come."""
        self._response = response
        self._as_ours = as_ours
        self.refusal = refusal

    async def read(self) -> bytes:
        """Wait for more of the body; nothing at its end."""
        try:
            return await self._response.content.readany()
        except NETWORK_FAILURES as error:
            raise self._as_ours(error) from None
        except RuntimeError:
            # How aiohttp says that the session was closed.
            return b""

    @property
    def coding(self) -> str | None:
        """How the body is compressed."""
        return coding_of(self._response.headers.get(hdrs.CONTENT_ENCODING, "identity"))

    @property
    def is_whole(self) -> bool:
        """Whether the body was read to its end."""
        return self._response.content.at_eof()

    def close(self) -> None:
        """Close the connection: what has not been read is not wanted."""
        self._response.close()


async def open_stream(
    session: aiohttp.ClientSession,
    arguments: Mapping[str, Any],
    config: HttpClientConfig,
    *,
    media_types: Collection[str],
    stale_after: float,
    limit: int,
    as_ours: Callable[[Exception], Exception],
) -> StreamedResponse:
    """Send a request and return its response once its head has come.

    Args:
        session: An open session.
        arguments: Method, address, headers and query.
        config: How long to wait for a connection.
        media_types: What the stream may be; anything else is a refusal.
        stale_after: Seconds that may pass without a byte.
        limit: Bytes of a refusal that are read.
        as_ours: Makes the error of this package of what aiohttp raises.
    """
    timeout = aiohttp.ClientTimeout(
        total=None,
        connect=config.connect_timeout,
        sock_read=stale_after,
        ceil_threshold=math.inf,
    )
    response = await session.request(
        **arguments, timeout=timeout, allow_redirects=False, auto_decompress=False
    )
    if response.status == _OK and response.content_type in media_types:
        return StreamedResponse(response, None, as_ours)
    url: str = arguments["url"]
    path = urlsplit(url).path
    reply = await read_response(response, arguments["method"], path, limit)
    return StreamedResponse(response, reply, as_ours)
