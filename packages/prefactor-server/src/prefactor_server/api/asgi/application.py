"""The ASGI application: reads a request, runs its operation and sends the response.

It replaces a framework's routing and request objects, which would cost more than all other work on
a single span.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import msgspec
from starlette.types import Receive, Scope, Send

from prefactor_server.api.asgi.auth import Authenticator
from prefactor_server.api.asgi.body import ClientDisconnected, read_document
from prefactor_server.api.asgi.client_connection import ClientConnection
from prefactor_server.api.asgi.collecting import collect
from prefactor_server.api.asgi.download import RESERVED_BYTES, Download, OpenedDownload, begin
from prefactor_server.api.asgi.error_response import error_response
from prefactor_server.api.asgi.rate_limit import RateLimiter
from prefactor_server.api.asgi.request_events import RequestEvent, RequestObserver
from prefactor_server.api.asgi.request_headers import POSITION, RequestHeaders
from prefactor_server.api.asgi.response_encoding import Coding, compressed, requested_coding
from prefactor_server.api.asgi.router import Router
from prefactor_server.api.events import stream
from prefactor_server.api.events.hub import Subscription
from prefactor_server.api.events.stream import EventStream
from prefactor_server.api.kernel.errors import UNSUPPORTED_ENCODING
from prefactor_server.api.kernel.operation import (
    Call,
    Downloaded,
    Encoded,
    Live,
    Operation,
    PureOperation,
    RawOperation,
    Read,
    Redirecting,
    Streamed,
    Write,
)
from prefactor_server.api.kernel.query import read_query
from prefactor_server.api.kernel.reads import in_turn
from prefactor_server.api.kernel.services import Services
from prefactor_server.api.kernel.turns import Turns
from prefactor_server.api.kernel.work import Work
from prefactor_server.api.kernel.writes import Reply, WriteJob, execute_one, keys_differ
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.change import Position, begin_position
from prefactor_server.domain.errors import NotAuthenticated, Unavailable
from prefactor_server.http.accept_encoding import preferred_coding
from prefactor_server.http.memory_budget import Lease, MemoryBudget

_ANONYMOUS: Final = Principal("", "", 0, "agent_deployment", None, None, None)

# Small enough for a response to wait while its client does not read.
_SLICE_BYTES: Final = 64 * 1024

_STREAMED_AT_ONCE: Final = 2

# Tells clients that they may compress their requests.
_ACCEPTED: Final = (b"accept-encoding", b"gzip")
_VARIES: Final = (b"vary", b"accept-encoding")
_ALL_ACCEPTED: Final = (b"accept-encoding", b"gzip, identity")

_encoder: Final = msgspec.json.Encoder()


class _Response(NamedTuple):
    """A response. A piece of its body is sent once the client has read the previous ones."""

    status: int
    body: Sequence[bytes]
    headers: Sequence[tuple[bytes, bytes]] = ()
    code: str = ""
    content_type: bytes = b"application/json"


class _OpenedStream(NamedTuple):
    """A response whose body is the events of a subscription."""

    subscription: Subscription
    is_allowed: Callable[[], Awaitable[bool]]
    deflate: bool
    status: int = 200
    code: str = ""


class _RequestTrace:
    """The operation of a request, once it is routed, and the position that it needs or reaches."""

    __slots__ = ("operation", "position")

    def __init__(self, position: Position) -> None:
        self.operation: Operation | None = None
        self.position = position

    @property
    def name(self) -> str:
        """The name of the operation, or an empty string."""
        return "" if self.operation is None else self.operation.name


class Api:
    """The API. Every response carries a fresh ``X-Request-Id``, and every error body repeats it."""

    def __init__(
        self,
        operations: Sequence[Operation],
        services: Services,
        authenticator: Authenticator,
        *,
        budget: MemoryBudget,
        observe: RequestObserver | None = None,
    ) -> None:
        self._observe = observe
        self._budget = budget
        # What such a response is made of is many times its size. More of them wait, rather than
        # use up the memory budget.
        self._streaming = Turns(_STREAMED_AT_ONCE)
        self._rate_limiter = RateLimiter(services.limits.requests_per_second)
        self.operations = operations
        self.events = services.events
        self.otlp = services.otlp
        self.heartbeats = services.heartbeats
        self._services = services
        self._limits = services.limits
        self._authenticator = authenticator
        self._router = Router(operations)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"the API serves HTTP only, not {scope['type']}")
        memory = self._budget.lease()
        try:
            await self._answer(scope, receive, send, memory)
        finally:
            memory.release()

    async def _answer(self, scope: Scope, receive: Receive, send: Send, memory: Lease) -> None:
        begun = time.perf_counter()
        request_id = self._services.random_bytes(12).hex()
        trace, work = _RequestTrace(begin_position()), Work(receive)
        try:
            response = await self._respond(scope, receive, trace, memory, work)
        except ClientDisconnected:
            return
        except Exception as error:  # noqa: BLE001 - the client gets a response in any case
            failed = error_response(error, request_id, scope, trace.operation)
            response = _Response(
                failed.status,
                (failed.encoded.body,),
                failed.headers,
                failed.code,
                failed.encoded.content_type,
            )
        finally:
            work.close(request_id)
        seconds = time.perf_counter() - begun
        event = RequestEvent(
            request_id, scope["method"], trace.name, response.status, response.code, seconds
        )
        if isinstance(response, OpenedDownload):
            if self._observe is not None:
                self._observe(event)
            reached = _reached(trace.position)
            await response.send(request_id, [_ACCEPTED, *reached], receive, send, memory)
            return
        if isinstance(response, _OpenedStream):
            # Observed first, because a stream that stays open is not a slow request.
            if self._observe is not None:
                self._observe(event)
            await self._stream(response, request_id, receive, send, memory)
            return
        headers = [
            (b"content-type", response.content_type),
            (b"content-length", b"%d" % sum(map(len, response.body))),
            (b"x-request-id", request_id.encode()),
            _ACCEPTED if response.status != UNSUPPORTED_ENCODING else _ALL_ACCEPTED,
            *response.headers,
            *_reached(trace.position),
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        for piece in response.body[:-1]:
            await _send(send, piece, more=True)
        await _send(send, response.body[-1], more=False)
        if self._observe is not None:
            self._observe(event)

    async def _stream(
        self, opened: _OpenedStream, request_id: str, receive: Receive, send: Send, memory: Lease
    ) -> None:
        """Send events until the client disconnects or the stream ends."""
        hub = self._services.events
        events = EventStream(
            opened.subscription,
            send,
            limits=hub.limits,
            observer=hub.observer,
            memory=memory,
            is_allowed=opened.is_allowed,
            check_seconds=self._services.limits.token_cache_seconds,
            deflate=opened.deflate,
        )
        headers = [*stream.HEADERS, (b"x-request-id", request_id.encode()), _ACCEPTED]
        if opened.deflate:
            headers.append((b"content-encoding", b"deflate"))
        await send({"type": "http.response.start", "status": opened.status, "headers": headers})
        await events.run(receive)

    async def _respond(
        self, scope: Scope, receive: Receive, trace: _RequestTrace, memory: Lease, work: Work
    ) -> _Response | _OpenedStream | OpenedDownload:
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        operation, path_id = self._router.match(scope["method"], raw_path.decode("latin-1"))
        trace.operation = operation
        headers = RequestHeaders(scope["headers"])
        principal = _ANONYMOUS
        client = ClientConnection(scope, self._limits.trusted_proxies, self._limits.public_url)
        if operation.access != "public":
            principal = await self._authenticate(operation, headers.authorization, client)
            self._rate_limiter.take(principal.token_id, self._services.now_us())
            operation.check_access(principal)
        elif operation.method != "GET":
            client.check_origin()
        if path_id:
            operation.check_id(path_id)
        call = Call(
            services=self._services,
            principal=principal,
            now=self._services.now_us(),
            memory=memory,
            path_id=path_id,
            host=headers.host,
            content_type=headers.content_type,
            client=client,
            work=work,
            prefers_minimal=headers.prefers_minimal,
        )
        trace.position.needed = headers.position if operation.may_read_standby else None
        if isinstance(operation, Live):
            call.query = read_query(scope["query_string"], operation.parameters, principal)
            subscription = await operation.open(call, headers.last_event_id)
            is_allowed = self._access_check(operation, headers, client, principal)
            deflated = preferred_coding(scope["headers"], ("deflate",)) is not None
            return _OpenedStream(subscription, is_allowed, deflated)
        if isinstance(operation, Streamed):
            call.query = read_query(scope["query_string"], operation.parameters, principal)
            async with self._streaming.turn(principal.token_id):
                return await _streamed(operation, call, requested_coding(scope["headers"]))
        if isinstance(operation, Downloaded):
            call.query = read_query(scope["query_string"], operation.parameters, principal)
            memory.take(RESERVED_BYTES)
            coding = requested_coding(scope["headers"])
            more_headers = (_VARIES, *_private(principal))
            return OpenedDownload(await operation.answer(call), coding, more_headers)
        if isinstance(operation, Redirecting):
            return _redirect(await operation.answer(call, scope["query_string"]), call)
        return await _replied(
            operation, call, await self._run(operation, call, headers, scope, receive)
        )

    async def _authenticate(
        self, operation: Operation, authorization: str | None, client: ClientConnection
    ) -> Principal:
        """Return the caller. A token takes precedence: no page can make a browser send one."""
        cookie = client.session_cookie() if authorization is None else None
        if cookie is None:
            return await self._authenticator.authenticate(authorization)
        if operation.method != "GET":
            client.check_origin()
            client.check_request_header()
        return await self._authenticator.authenticate_session(cookie)

    def _access_check(
        self,
        operation: Operation,
        headers: RequestHeaders,
        client: ClientConnection,
        before: Principal,
    ) -> Callable[[], Awaitable[bool]]:
        """Return a check whether the caller still has the rights that it had at first."""

        async def is_allowed() -> bool:
            try:
                now = await self._authenticate(operation, headers.authorization, client)
            except NotAuthenticated:
                return False
            except Unavailable:
                # Nothing new can be read now either, so the stream reveals nothing.
                return True
            return now == before

        return is_allowed

    async def _run(
        self,
        operation: Operation,
        call: Call,
        headers: RequestHeaders,
        scope: Scope,
        receive: Receive,
    ) -> Reply:
        if isinstance(operation, Read):
            call.query = read_query(scope["query_string"], operation.parameters, call.principal)
            return Reply(await in_turn(operation, call, lambda: operation.answer(call)))
        limit = self._services.limits.max_request_bytes
        if operation.max_body_bytes is not None:
            limit = min(limit, operation.max_body_bytes)
        document = await read_document(
            receive,
            headers.content_length,
            headers.content_encoding,
            limit,
            call.memory,
            takes_zstd=isinstance(operation, RawOperation) and operation.takes_zstd,
        )
        if isinstance(operation, Write):
            key = _idempotency_key(headers.idempotency_key, operation, call.principal, scope)
            job = WriteJob(operation, call, document, header_key=key)
            return await execute_one(job, len(document))
        if isinstance(operation, PureOperation):
            return Reply(await in_turn(operation, call, lambda: operation.answer(call, document)))
        if isinstance(operation, RawOperation):
            return Reply(await operation.answer(call, document))
        raise TypeError(operation)


def _private(principal: Principal) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that keep a browser from caching an answer for its next user."""
    return () if principal.session_id is None else ((b"cache-control", b"no-store"),)


def _reached(position: Position) -> tuple[tuple[bytes, bytes], ...]:
    return ((POSITION, b"%d" % position.reached),) if position.reached else ()


def _redirect(location: str, call: Call) -> _Response:
    body = _encoder.encode({"status": "success", "location": location})
    return _Response(303, (body,), (*call.response_headers, (b"location", location.encode())))


async def _replied(operation: Operation, call: Call, reply: Reply) -> _Response | OpenedDownload:
    more_headers = (*call.response_headers, *_private(call.principal))
    if reply.replayed:
        more_headers = (*more_headers, (b"idempotent-replayed", b"true"))
    memory, content_type, answer = call.memory, b"application/json", reply.body
    if isinstance(answer, Download):
        body, rest = await begin(answer, memory)
        if rest is not None:
            memory.hold(RESERVED_BYTES)
            return OpenedDownload(rest, None, more_headers)
    elif isinstance(answer, Encoded):
        content_type, body = answer.content_type, [answer.body]
    else:
        body = [_encoder.encode(answer)]
    # The request's memory is released. A write is answered regardless of the budget, because it
    # has taken effect.
    memory.shrink(0)
    (memory.take if isinstance(operation, Read) else memory.hold)(sum(map(len, body)))
    return _Response(200, body, more_headers, content_type=content_type)


async def _streamed(operation: Streamed, call: Call, coding: Coding | None) -> _Response:
    body = await collect(compressed(coding, await operation.answer(call)), call.memory)
    encoded = () if coding is None else ((b"content-encoding", coding.encode()),)
    return _Response(200, body, (_VARIES, *encoded, *_private(call.principal)))


async def _send(send: Send, piece: bytes, *, more: bool) -> None:
    """Send one piece of a response, in slices if it is large."""
    last = max(0, len(piece) - 1) // _SLICE_BYTES * _SLICE_BYTES
    for start in range(0, last, _SLICE_BYTES):
        body = piece[start : start + _SLICE_BYTES]
        await send({"type": "http.response.body", "body": body, "more_body": True})
    body = piece[last:] if last else piece
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _idempotency_key(
    header: str | None, operation: Write, principal: Principal, scope: Scope
) -> str | None:
    """Return the idempotency key from the header or, for a deletion, from the query.

    The query of a deletion is checked as strictly as that of a list, because a deletion must not
    ignore a parameter such as a dry run or a condition.
    """
    if operation.method != "DELETE" or not scope["query_string"]:
        return header
    key = read_query(scope["query_string"], (), principal).get("idempotency_key")
    if header is not None and key is not None and header != key:
        raise keys_differ()
    return header if key is None else key
