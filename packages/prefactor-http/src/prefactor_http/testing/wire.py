"""HTTP/1.1 over asyncio streams, limited to what clients of this API send."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prefactor_http.testing.faults import Reply, StreamedReply

_END_OF_HEAD = b"\r\n\r\n"
_END_OF_LINE = b"\r\n"


class MalformedRequestError(ValueError):
    """The bytes on the connection are not an HTTP/1.1 request."""


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it arrived. `connection` numbers the connections of the server from 1."""

    method: str
    path: str
    """Decoded path, without the query."""
    target: str
    """The path and query exactly as sent."""
    query: Mapping[str, str]
    """Decoded query. If a name is repeated, the last value applies."""
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = b""
    connection: int = 0

    @property
    def json(self) -> Any:
        """The decoded body, or `None` if it is empty. Raises `ValueError` if it is not JSON."""
        return json.loads(self.body) if self.body else None

    @property
    def keeps_connection(self) -> bool:
        """Whether the client keeps the connection for further requests."""
        return self.headers.get("connection", "").lower() != "close"


async def read_head(reader: asyncio.StreamReader) -> RecordedRequest | None:
    """Read the next request without its body. Return `None` at the end of the connection."""
    try:
        head = await reader.readuntil(_END_OF_HEAD)
        request_line, *lines = head[: -len(_END_OF_HEAD)].decode("latin-1").split("\r\n")
        method, target, _version = request_line.split(" ")
        headers = dict(map(_header, lines))
        url = urlsplit(target)
    except asyncio.IncompleteReadError:
        return None
    except (ValueError, asyncio.LimitOverrunError) as error:
        msg = f"not the head of a request: {error}"
        raise MalformedRequestError(msg) from error
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    return RecordedRequest(method, unquote(url.path), target, query, headers)


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        msg = f"header without a name: {line!r}"
        raise ValueError(msg)
    return name.strip().lower(), value.strip(" \t")


async def read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes | None:
    """Read the body of a request. Return `None` if the client disconnects before its end."""
    try:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return await _read_chunks(reader)
        return await reader.readexactly(int(headers.get("content-length", "0")))
    except asyncio.IncompleteReadError:
        return None
    except (ValueError, asyncio.LimitOverrunError) as error:
        msg = f"not the body of a request: {error}"
        raise MalformedRequestError(msg) from error


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(_END_OF_LINE)).split(b";")[0], 16):
        body += await reader.readexactly(size)
        if await reader.readexactly(2) != _END_OF_LINE:
            msg = "a chunk does not end with its line"
            raise ValueError(msg)
    while await reader.readuntil(_END_OF_LINE) != _END_OF_LINE:
        pass  # trailers are ignored
    return bytes(body)


def render(reply: Reply, *, keeps_connection: bool) -> tuple[bytes, bytes]:
    """Return the head and the body of `reply` as sent."""
    content_type, body = _encode(reply.body)
    headers = {
        "content-type": content_type,
        "content-length": str(len(body)),
        "connection": "keep-alive" if keeps_connection else "close",
        **{name.lower(): value for name, value in reply.headers.items()},
    }
    return _head(reply.status, headers), body


def render_stream(reply: StreamedReply) -> Iterator[bytes]:
    """Yield the head and the pieces of `reply` as sent."""
    headers = {
        "content-type": "application/json; charset=utf-8",
        "connection": "close",
        **({"transfer-encoding": "chunked"} if reply.chunked else {}),
        **{name.lower(): value for name, value in reply.headers.items()},
    }
    yield _head(reply.status, headers)
    for piece in reply.pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece) if reply.chunked else piece
    if reply.chunked:
        yield b"0" + _END_OF_HEAD


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_phrase(status)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + _END_OF_HEAD


def _encode(body: dict[str, Any] | list[Any] | str | bytes | None) -> tuple[str, bytes]:
    match body:
        case None:
            return "application/json", b""
        case bytes():
            return "application/octet-stream", body
        case str():
            return "text/html; charset=utf-8", body.encode()
        case _:
            return "application/json; charset=utf-8", json.dumps(body).encode()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
