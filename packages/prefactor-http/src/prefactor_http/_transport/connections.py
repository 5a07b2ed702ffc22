"""Opens connections, sends bodies and reads responses, with aiohttp."""

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
"""The size in bytes of the pieces in which a larger body is written."""
SMALL_BODY = 2**15
"""A body of at most this many bytes fits into the transport's buffer, whose limit is double."""
_DIGITS = 19
"""A length with fewer digits than this fits into a 64-bit integer."""
EVENT_STREAM = "text/event-stream"
"""The media type of a stream."""
_OK = 200
KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept: below the 5 s after which common servers close it."""

# aiohttp 3.14 accepts a serializer that returns bytes, which avoids decoding and encoding again.
_SERIALIZER: dict[str, Any] = (
    {"json_serialize_bytes": to_json_bytes}
    if "json_serialize_bytes" in (aiohttp.ClientSession.__init__.__kwdefaults__ or {})
    else {"json_serialize": to_json_text}
)

_RESPONSE_TAKES = {
    *("self", "method", "url", "writer", "continue100", "timer", "request_info", "traces"),
    *("loop", "session", "stream_writer"),
}
"""The parameters of `aiohttp.ClientResponse` in the versions that `_Request` supports."""

current_attempt: ContextVar[Attempt | None] = ContextVar("current_attempt", default=None)
"""The attempt of the running task, which records facts about its connection."""


class _Connector(aiohttp.TCPConnector):
    """Records on the current attempt whether its connection came from the pool.

    aiohttp's public way to find out is a trace, which costs a tenth of a call. The overridden
    methods are the ones that its base connector documents for subclasses.
    """

    def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Assume that it comes from the pool; `_create_connection` corrects that."""
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
    """Writes a small body immediately, where aiohttp would start a task for it.

    Before Python 3.12 such a task starts in the next iteration of the loop, which costs a seventh
    of the whole call. Anything but a plain request with a small body is left to aiohttp.
    """

    def update_headers(self, headers: Any) -> None:
        """Use the headers as the session prepared them, after the host."""
        if type(cast("object", headers)) is not CIMultiDict or hdrs.HOST in headers:
            super().update_headers(headers)
            return
        host: Any = self.url.host_port_subcomponent
        self.headers: CIMultiDict[str] = CIMultiDict({hdrs.HOST: host})
        self.headers.extend(headers)

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        """Send the request on a connection."""
        protocol = conn.protocol
        if not self._is_plain(conn) or protocol.writing_paused:
            return await super().send(conn)
        writer = StreamWriter(protocol, self.loop)
        await writer.write_headers(f"{self.method} {self.url.raw_path_qs} HTTP/1.1", self.headers)
        body: Any = self._body
        await body.write(writer)
        writer.set_eof()  # not write_eof(), which waits for the socket
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
        """Return whether there is nothing but headers and a body that fits into the buffer."""
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
    """Return whether `_Request` supports this version of aiohttp."""
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
    """Open a session. The event loop must be running."""
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
    """A body that is written in pieces, for which aiohttp does not warn as it does for bytes.

    Not `io.BytesIO`, which older versions of aiohttp read in the loop's executor, and no executor
    accepts work while the interpreter exits.
    """

    _autoclose = True  # there is nothing to close

    def __init__(self, value: bytes) -> None:
        super().__init__(value, content_type="application/json")
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the text, which aiohttp may show."""
        content: bytes = self._value
        return content.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write everything, waiting for the socket between pieces."""
        content = memoryview(self._value)
        for start in range(0, len(content), CHUNK_SIZE):
            await writer.write(content[start : start + CHUNK_SIZE])


def connect_timeout_only(config: HttpClientConfig) -> aiohttp.ClientTimeout:
    """Return limits with a connect timeout only, because the attempt has a cheaper watcher."""
    # aiohttp rounds longer limits up to a full second, and ours are exact.
    return aiohttp.ClientTimeout(
        total=None, connect=config.connect_timeout, ceil_threshold=math.inf
    )


def session_arguments(
    arguments: Mapping[str, Any], timeout: aiohttp.ClientTimeout, *, given: bool
) -> dict[str, Any]:
    """Return the arguments of a request for a real session.

    Args:
        arguments: The arguments that a test double would get.
        timeout: The limits that aiohttp enforces.
        given: Whether it is the caller's session, with its own serializer.
    """
    # A redirect is returned like any other response, and we decompress within limits.
    adapted = {
        **arguments,
        "timeout": timeout,
        "allow_redirects": False,
        "auto_decompress": False,
    }
    body: EncodedBody | None = arguments.get("json")
    data: bytes = arguments.get("data", b"") if body is None else body.encoded
    if len(data) > LARGE_BODY:
        adapted |= {"json": None, "data": _ChunkedBody(data)}  # each attempt needs a new one
    elif body is not None and given:
        adapted["json"] = body.detached()  # the session's serializer encodes the values again
    return adapted


async def read_response(
    response: aiohttp.ClientResponse, method: str, path: str, limit: int
) -> Reply:
    """Read a whole response, unless its body exceeds `limit` bytes.

    The body is decompressed here rather than by aiohttp, which has no limit and blocks the loop,
    including the timer of the attempt.
    """
    status, headers = response.status, response.headers
    length = headers.get(hdrs.CONTENT_LENGTH)
    try:
        if length is None or hdrs.TRANSFER_ENCODING in headers or not _within(length, limit):
            body = await _read_pieces(response, limit)
        else:
            # text() would detect the character set and decode, only for the JSON parser to encode
            # again. That takes a tenth of the call.
            body = await response.read()
        if hdrs.CONTENT_ENCODING in headers and body:
            coding = coding_of(", ".join(headers.getall(hdrs.CONTENT_ENCODING)))
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
    """Return whether a declared length is within the limit; aiohttp reads no more than that."""
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
    await response.read()  # nothing is left; this returns the connection to the pool
    return bytes(body)


async def _inflated(body: bytes, coding: str, limit: int) -> bytes:
    whole = bytearray()
    try:
        for piece in inflate(body, coding):
            whole += piece
            if len(whole) > limit:
                raise _TooLargeError
            # Let other tasks run, including the timer. A small body needs only one slice.
            await asyncio.sleep(0)
    except zlib.error as error:
        message = f"Can not decode content-encoding: {coding}"
        raise aiohttp.ClientPayloadError(message) from error
    return bytes(whole)


class StreamedResponse:
    """A response that is read as it arrives.

    `refusal` is the whole response if it is not the expected stream.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        coding: str | None,
        refusal: Reply | None,
        as_ours: Callable[[Exception], Exception],
    ) -> None:
        """Create a reader for a response whose head has arrived."""
        self._response = response
        self._as_ours = as_ours
        self.coding = coding
        """The content coding of the body."""
        self.refusal = refusal

    async def read(self) -> bytes:
        """Wait for the next part of the body; empty at its end."""
        try:
            return await self._response.content.readany()
        except NETWORK_FAILURES as error:
            raise self._as_ours(error) from None
        except RuntimeError:
            # aiohttp's error for a closed session.
            return b""

    @property
    def is_whole(self) -> bool:
        """Whether the body was read to its end."""
        return self._response.content.at_eof()

    def close(self) -> None:
        """Close the connection and discard the unread part."""
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
    """Send a request and return its response when its head has arrived.

    Args:
        session: An open session.
        arguments: Method, address, headers and query.
        config: The source of the connect timeout.
        media_types: The accepted media types; any other response is a refusal.
        stale_after: The seconds that may pass without a byte.
        limit: Maximum bytes of a refusal.
        as_ours: Translates an exception of aiohttp into this package's error.

    Raises:
        PrefactorResponseContractError: The stream has a content coding that was not requested.
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
    method: str = arguments["method"]
    url: str = arguments["url"]
    path = urlsplit(url).path
    if response.status != _OK or response.content_type not in media_types:
        reply = await read_response(response, method, path, limit)
        return StreamedResponse(response, None, reply, as_ours)
    try:
        coding = coding_of(response.headers.get(hdrs.CONTENT_ENCODING, "identity"))
    except UnreadableCodingError as error:
        response.close()
        raise unreadable(method, path, response.status, str(error)) from None
    return StreamedResponse(response, coding, None, as_ours)
