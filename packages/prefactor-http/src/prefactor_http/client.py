"""The client: one call is a loop of attempts, one attempt is one exchange on an aiohttp session.

Everything that decides (retry policy, reading of replies, encoding) lives in modules that know
no HTTP library; this one moves bytes.
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any, cast

import aiohttp

from prefactor_http._options import NO_OPTIONS, RequestOptions
from prefactor_http._redaction import Redactor
from prefactor_http._resources import Resources
from prefactor_http._retry.calls import Call, Context, log_response, repeatable
from prefactor_http._retry.quota import RetryQuota
from prefactor_http._transport.connections import (
    ask_double,
    connect,
    connect_timeout_only,
    current_attempt,
    is_aiohttp_session,
    read_double,
    read_response,
    session_arguments,
)
from prefactor_http._transport.encoding import EncodedBody, check_bytes, encode_body, query
from prefactor_http._transport.headers import Headers
from prefactor_http._transport.limits import Attempt
from prefactor_http._transport.responses import RawResponse, Reply, parse, raw
from prefactor_http._transport.sessions import Sessions
from prefactor_http._transport.translation import translated
from prefactor_http.exceptions import (
    LOST_CONNECTION,
    NETWORK_FAILURES,
    PrefactorClientError,
)
from prefactor_http.retry import RetryHandler

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ssl import SSLContext
    from types import TracebackType
    from typing import Self

    from aiohttp.abc import AbstractResolver

    from prefactor_http.config import HttpClientConfig


class PrefactorHttpClient(Resources):
    """Typed, asynchronous access to the Prefactor API.

    Use it as an async context manager, or call `close()` at the end. It is safe to share between
    any number of tasks of one event loop; used in another loop later, it opens a new session there.

    Args:
        config: Where, with which token, and how patiently.
        sdk_header: Replaces the `X-Prefactor-SDK` value `prefactor-http@<version>`.
        session: A session of your own. It stays yours to close, and its pool is used as it is, so
            a write that meets a connection the server has just closed is retried after the usual
            wait instead of at once.
        ssl: TLS settings for all requests, as aiohttp takes them.
        proxy: URL of a proxy for all requests.
        trust_env: Whether proxies and credentials are taken from the environment and `~/.netrc`.
        retry_handler: Runs the attempts; hand in your own to control clock, sleep and chance.
        resolver: Looks up host names, as aiohttp takes it; it stays yours to close. A `session` of
            your own keeps its own.

    Raises:
        PrefactorRequestError: The token or the `sdk_header` cannot be sent in a header.
    """

    def __init__(
        self,
        config: HttpClientConfig,
        sdk_header: str | None = None,
        *,
        session: aiohttp.ClientSession | None = None,
        ssl: SSLContext | aiohttp.Fingerprint | bool | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        retry_handler: RetryHandler | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """Keep the settings; nothing is opened before it is needed."""
        self.config = config
        self._headers = Headers(config.api_token, sdk_header)
        self._options = NO_OPTIONS
        self._retry_handler = retry_handler or RetryHandler(config, quota=RetryQuota())
        self._redactor = Redactor(config.api_token)
        opening = functools.partial(connect, config, trust_env=trust_env, resolver=resolver)
        self._sessions: Sessions[aiohttp.ClientSession] = Sessions(opening, session)
        self._context = Context(config, self._retry_handler, self._sessions, self._redactor)
        self._session_timeout = connect_timeout_only(config)
        extras = {"ssl": ssl, "proxy": proxy}
        self._extras = {name: value for name, value in extras.items() if value is not None}

    async def __aenter__(self) -> Self:
        """Open the session."""
        await self._ensure_session()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Close the session."""
        await self.close()

    async def close(self) -> None:
        """Close the session if it is open; harmless when repeated.

        A later request opens a new one, which the end of the event loop closes if nobody does.
        """
        await self._sessions.close()

    def with_options(
        self,
        *,
        deadline: float | None = None,
        request_timeout: float | None = None,
        max_retries: int | None = None,
        max_response_bytes: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """A client with other defaults that shares session and retry quota with this one.

        Closing either closes the shared session; close the one you started with.

        Args:
            deadline: Seconds for a whole call; `math.inf` lifts the limit.
            request_timeout: Seconds for one attempt.
            max_retries: Attempts after the first one.
            max_response_bytes: Bytes of a response body that are taken.
            headers: Extra headers of every request.
        """
        given = RequestOptions(
            deadline=deadline,
            request_timeout=request_timeout,
            max_retries=max_retries,
            max_response_bytes=max_response_bytes,
            headers=headers or {},
        )
        child = copy.copy(self)
        child.forget_resources()
        child._options = self._options.merge(given)  # noqa: SLF001 - a copy of ourselves
        return child

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json_data: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        options: RequestOptions | None = None,
    ) -> dict[str, Any]:
        """Send a request exactly as given and return the JSON object of the reply.

        Unlike the typed methods it makes up no idempotency key. Without one, a POST or PATCH is
        not repeated when the connection fails after it may have been processed.

        Args:
            method: The HTTP method.
            path: Path below `api_url`, sent verbatim; encode ids with `urllib.parse.quote`.
            params: Query parameters; None is left out, booleans are sent as `true` and `false`.
            json_data: The body. Besides JSON values it may hold pydantic models and datetimes.
            idempotency_key: Sent as `Idempotency-Key`, the same on every attempt.
            options: Limits and headers of this call only.

        Returns:
            The reply; `{}` when it has no body by definition, such as with status 204.

        Raises:
            PrefactorApiError: The server refused (a subclass by status).
            PrefactorNetworkError: No usable answer; also an aiohttp or asyncio error.
            PrefactorResponseContractError: The reply is not a JSON object, or too large.
            PrefactorRetryExhaustedError: It failed on the last of several attempts.
            PrefactorRequestError: It cannot be sent as it is; nothing was.
        """
        call = Call(
            self._context,
            self._options if options is None else self._options.merge(options),
            self._make_request,
            method,
            path,
            None if params is None else query(params),
            None if json_data is None else encode_body(json_data),
            idempotency_key,
        )
        return await self._retry_handler.run(call)

    async def request_bytes(
        self,
        method: str,
        path: str,
        body: bytes,
        *,
        content_encoding: str | None = None,
        idempotency_key: str | None = None,
        options: RequestOptions | None = None,
    ) -> RawResponse:
        """Send a body that is encoded already, and return the reply unread.

        For callers that move many items in one request and must not pay for a second encoding.
        Retries, limits and errors are those of `request`, except that a successful reply may hold
        anything. A body over a megabyte goes in pieces, each time from its start.

        Args:
            method: The HTTP method.
            path: Path below `api_url`, with its query if it has one, sent verbatim.
            body: The bytes to send: JSON, or what `options.headers` says in `Content-Type`.
            content_encoding: What was done to the body, such as `gzip`: sent as a header.
            idempotency_key: Sent as `Idempotency-Key`, the same on every attempt.
            options: Limits and headers of this call only.

        Returns:
            Status, headers and body; the status is below 300, or 304.

        Raises:
            PrefactorApiError: The server refused (a subclass by status).
            PrefactorNetworkError: No usable answer; also an aiohttp or asyncio error.
            PrefactorResponseContractError: A status of 500 or above without a JSON object, or a
                reply that is too large.
            PrefactorRetryExhaustedError: It failed on the last of several attempts.
            PrefactorRequestError: It cannot be sent as it is; nothing was.
        """
        check_bytes(body)
        if content_encoding is not None:
            # Below the caller's own options, which may replace any header.
            encoding = RequestOptions(headers={"Content-Encoding": content_encoding})
            options = encoding.merge(options)
        call = Call(
            self._context,
            self._options if options is None else self._options.merge(options),
            self._make_raw_request,
            method,
            path,
            None,
            body,
            idempotency_key,
        )
        return await self._retry_handler.run(call)

    async def validate_token(self) -> dict[str, Any]:
        """Ask the server whether the token is good.

        Raises:
            PrefactorAuthError: It is not.
        """
        return await self.request("GET", "/api/v1/ping")

    def __repr__(self) -> str:
        """Where it talks to; never the token."""
        return f"{type(self).__name__}({self.config!r})"

    @property
    def _session(self) -> aiohttp.ClientSession | None:
        """The session in use. Settable, for tests that put a double in its place."""
        return self._sessions.current

    @_session.setter
    def _session(self, session: aiohttp.ClientSession | None) -> None:
        self._sessions.current = session

    async def _ensure_session(self) -> None:
        """Open a session for the running event loop unless there is one."""
        await self._sessions.ensure()

    async def _make_request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        json_data: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        *,
        seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
    ) -> dict[str, Any]:
        """Make one attempt on the open session.

        Args:
            method: The HTTP method.
            path: Path below `api_url`.
            params: Query parameters.
            json_data: The body, encoded already or not.
            idempotency_key: Sent as a header.
            seconds: Limit of the attempt; None for that of the session.
            headers: Extra headers.
            max_bytes: Limit of the response; None for that of the client.
        """
        if json_data is not None and type(json_data) is not EncodedBody:
            json_data = encode_body(json_data)
        content = {"params": params, "json": json_data}
        return parse(
            await self._attempt(
                method, path, content, idempotency_key, seconds, headers, max_bytes
            ),
            self._redactor,
        )

    async def _make_raw_request(
        self,
        method: str,
        path: str,
        params: None = None,  # noqa: ARG002 - what all calls pass
        json_data: bytes = b"",
        idempotency_key: str | None = None,
        *,
        seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
    ) -> RawResponse:
        """Make one attempt with a body of bytes; arguments as for `_make_request`."""
        content = {"data": json_data}
        return raw(
            await self._attempt(
                method, path, content, idempotency_key, seconds, headers, max_bytes
            ),
            self._redactor,
        )

    async def _attempt(  # noqa: PLR0917 - by position, because there is one call per span
        self,
        method: str,
        path: str,
        content: dict[str, Any],
        idempotency_key: str | None,
        seconds: float | None,
        headers: Mapping[str, str] | None,
        max_bytes: int | None,
    ) -> Reply:
        """One exchange within its time limit; `content` is what aiohttp calls query and body."""
        session = self._session
        if session is None or session.closed:
            message = "HTTP session not initialized"
            raise PrefactorClientError(message)
        try:
            arguments: dict[str, Any] = {
                "method": method,
                "url": f"{self.config.api_url.rstrip('/')}{path}",
                **content,
                "headers": self._headers.of(self.config.api_token, idempotency_key, headers),
                **self._extras,
            }
            # The limit is for the replay too.
            with Attempt(
                self._sessions.timeout_watcher(), seconds or self.config.request_timeout
            ) as attempt:
                current_attempt.set(attempt)
                limit = max_bytes or self.config.max_response_bytes
                reply = await self._exchange(session, path, arguments, attempt, limit)
        except (TypeError, ValueError) as error:
            # aiohttp's word for "this URL, header or argument cannot be sent".
            if isinstance(error, NETWORK_FAILURES):
                raise
            raise translated(error, f"{method} {path}", self._redactor) from None
        log_response(method, path, reply.status)
        return reply

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        path: str,
        arguments: dict[str, Any],
        attempt: Attempt,
        max_bytes: int,
    ) -> Reply:
        """One round trip; a second one at once if the first met a connection closed while idle.

        aiohttp replays idempotent methods itself, but hands out the oldest idle connection
        first, so that its replay may meet another dead one. This replay has a new connection. It
        does not count as a retry: nothing is wrong with the server.
        """
        while True:
            try:
                if not is_aiohttp_session(session):
                    return await ask_double(session, path, arguments)
                given = session is self._sessions.given
                real = session_arguments(arguments, self._session_timeout, given=given)
                # Not `async with`, whose ends cost: read() gives the connection back or closes it.
                response = await session.request(**real)
                attempt.answered = True
                if not isinstance(cast("object", response), aiohttp.ClientResponse):
                    return await read_double(response, path, arguments)
                return await read_response(response, arguments["method"], path, max_bytes)
            except LOST_CONNECTION:
                if attempt.answered or not attempt.from_pool or not repeatable(arguments):
                    raise
            # Its connections are new, so that the next failure is raised.
            session = self._sessions.single_use()
