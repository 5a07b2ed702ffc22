"""The client. A call is a loop of attempts, and an attempt is one request on an aiohttp session.

Retry policy, parsing and encoding are in modules without the HTTP library.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

import aiohttp

from prefactor_http._calls import Call, Context, log_response, repeatable
from prefactor_http._compat import ask_double, is_aiohttp_session, read_double
from prefactor_http._copies import Copies
from prefactor_http._options import NO_OPTIONS, RequestOptions
from prefactor_http._redaction import Redactor
from prefactor_http._retry_quota import RetryQuota
from prefactor_http._streams import Streams
from prefactor_http._transport.connections import (
    connect,
    connect_timeout_only,
    current_attempt,
    read_response,
    session_arguments,
)
from prefactor_http._transport.encoding import (
    EncodedBody,
    check_bytes,
    encode_body,
    query,
    request_url,
)
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


class PrefactorHttpClient(Streams, Copies):
    """Typed, asynchronous access to the Prefactor API.

    Use it as an async context manager, or call `close()` at the end. It may be shared by any number
    of tasks, and by several event loops, each of which gets a session of its own.

    Args:
        config: URL, token, time limits and retries.
        sdk_header: Replaces the `X-Prefactor-SDK` value `prefactor-http@<version>`.
        session: Your own session, which you close. Its connection pool is used as it is, so a write
            on a connection that the server has just closed is retried after the usual delay instead
            of at once.
        ssl: TLS settings for all requests, passed to aiohttp.
        proxy: URL of a proxy for all requests.
        trust_env: Whether to read proxies and credentials from the environment and `~/.netrc`.
        retry_handler: Runs the attempts. Pass your own to control clock, sleep and randomness.
        resolver: Resolves host names, passed to aiohttp. You close it. A `session` of your own
            keeps its own.

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
        """Store the settings. The session is opened when it is needed."""
        self.config = config
        redactor = Redactor(config.api_token)
        self._headers = Headers(config.api_token, sdk_header, redactor)
        self._options = NO_OPTIONS
        self._retry_handler = retry_handler or RetryHandler(config, quota=RetryQuota())
        opening = functools.partial(connect, config, trust_env=trust_env, resolver=resolver)
        self._sessions: Sessions[aiohttp.ClientSession] = Sessions(opening, session)
        self._context = Context(config, self._retry_handler, self._sessions, redactor)
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
        """Close the session if it is open. Calling it again is harmless.

        Calls that are in flight fail, in other event loops too. A later request opens a new
        session. If it is not closed, the end of the event loop closes it.
        """
        await self._sessions.close()

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
        """Send a request exactly as given and return the JSON object of the response.

        Unlike the typed methods, it does not generate an idempotency key. A POST or PATCH without a
        key is not retried if the connection fails after it may have been processed.

        Args:
            method: The HTTP method.
            path: Path below `api_url`, sent verbatim; encode ids with `urllib.parse.quote`.
            params: Query parameters; None is left out, booleans are sent as `true` and `false`.
            json_data: The body. It may contain pydantic models and datetimes.
            idempotency_key: Sent as `Idempotency-Key`, the same on every attempt.
            options: Limits and headers of this call only.

        Returns:
            The response; `{}` if it has no body by definition, as with status 204.

        Raises:
            PrefactorApiError: The server rejected the request (a subclass by status).
            PrefactorNetworkError: No usable response; also an aiohttp or asyncio error.
            PrefactorResponseContractError: The response is not a JSON object, or too large.
            PrefactorRetryExhaustedError: The last of several attempts failed.
            PrefactorRequestError: The request is invalid; nothing was sent.
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
        """Send an encoded body and return the response without parsing it.

        For callers that send many items in one request and have encoded them already. Retries,
        limits and errors are those of `request`, except that a successful response may contain
        anything. A body over a megabyte is sent in chunks, from its start on each attempt.

        Args:
            method: The HTTP method.
            path: Path below `api_url`, including its query if any, sent verbatim.
            body: The bytes to send: JSON, or another `Content-Type` from `options.headers`.
            content_encoding: The encoding of the body, such as `gzip`. Sent as a header.
            idempotency_key: Sent as `Idempotency-Key`, the same on every attempt.
            options: Limits and headers of this call only.

        Returns:
            Status, headers and body; the status is below 300, or 304.

        Raises:
            PrefactorApiError: The server rejected the request (a subclass by status).
            PrefactorNetworkError: No usable response; also an aiohttp or asyncio error.
            PrefactorResponseContractError: A status of 500 or above without a JSON object, or a
                response that is too large.
            PrefactorRetryExhaustedError: The last of several attempts failed.
            PrefactorRequestError: The request is invalid; nothing was sent.
        """
        check_bytes(body)
        if content_encoding is not None:
            # With lower priority than the caller's options, which may replace any header.
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
        """Check with the server that the token is valid.

        Raises:
            PrefactorAuthError: The token is not valid.
        """
        return await self.request("GET", "/api/v1/ping")

    def __repr__(self) -> str:
        """Return the configuration without the token."""
        return f"{type(self).__name__}({self.config!r})"

    @property
    def _session(self) -> aiohttp.ClientSession | None:
        """The session in use. Settable, for tests that replace it."""
        return self._sessions.current

    @_session.setter
    def _session(self, session: aiohttp.ClientSession | None) -> None:
        self._sessions.current = session

    async def _ensure_session(self) -> None:
        """Open a session for the running event loop if there is none."""
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
            json_data: The body, encoded or not.
            idempotency_key: Sent as a header.
            seconds: Time limit of the attempt; None for the session's.
            headers: Extra headers.
            max_bytes: Size limit of the response; None for the client's.
        """
        if json_data is not None and type(json_data) is not EncodedBody:
            json_data = encode_body(json_data)
        content = {"params": params, "json": json_data}
        return parse(
            *await self._attempt(
                method, path, content, idempotency_key, seconds, headers, max_bytes
            )
        )

    async def _make_raw_request(
        self,
        method: str,
        path: str,
        params: None = None,  # noqa: ARG002 - passed by all calls
        json_data: bytes = b"",
        idempotency_key: str | None = None,
        *,
        seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
    ) -> RawResponse:
        """Make one attempt with a body of bytes. Arguments as for `_make_request`."""
        content = {"data": json_data}
        return raw(
            *await self._attempt(
                method, path, content, idempotency_key, seconds, headers, max_bytes
            )
        )

    async def _attempt(  # noqa: PLR0917 - positional for speed, as there is a call per span
        self,
        method: str,
        path: str,
        content: dict[str, Any],
        idempotency_key: str | None,
        seconds: float | None,
        headers: Mapping[str, str] | None,
        max_bytes: int | None,
    ) -> tuple[Reply, Redactor]:
        """Send a request within its time limit. `content` holds aiohttp's query and body.

        Returns the reply, and what masks the secrets that were sent.
        """
        session = self._session
        if session is None or session.closed:
            message = "HTTP session not initialized"
            raise PrefactorClientError(message)
        redactor, limits = self._headers.redactor, seconds or self.config.request_timeout
        try:
            sent, redactor = self._headers.of(self.config.api_token, idempotency_key, headers)
            arguments: dict[str, Any] = {
                "method": method,
                "url": request_url(self.config.api_url, path),
                **content,
                "headers": sent,
                **self._extras,
            }
            # The limit includes the replay.
            with Attempt(self._sessions.timeout_watcher(), limits) as attempt:
                current_attempt.set(attempt)
                limit = max_bytes or self.config.max_response_bytes
                reply = await self._exchange(session, path, arguments, attempt, limit)
        except NETWORK_FAILURES as error:
            raise translated(error, f"{method} {path}", redactor, limits)  # noqa: B904 - has a cause
        except (TypeError, ValueError) as error:
            # aiohttp raises these for a URL, header or argument that cannot be sent.
            raise translated(error, f"{method} {path}", redactor) from None
        log_response(method, path, reply.status)
        return reply, redactor

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        path: str,
        arguments: dict[str, Any],
        attempt: Attempt,
        max_bytes: int,
    ) -> Reply:
        """Make a round trip, and another at once if the server had closed an idle connection.

        aiohttp replays idempotent methods itself, but may do so on another closed connection. This
        replay uses a new one. It does not count as a retry, because the server has not failed.
        """
        while True:
            try:
                if not is_aiohttp_session(session):
                    return await ask_double(session, path, arguments)
                given = session is self._sessions.given
                real = session_arguments(arguments, self._session_timeout, given=given)
                # Not `async with`, which is slower. read() releases or closes the connection.
                response = await session.request(**real)
                attempt.answered = True
                if not isinstance(cast("object", response), aiohttp.ClientResponse):
                    return await read_double(response, path, arguments)
                return await read_response(response, arguments["method"], path, max_bytes)
            except LOST_CONNECTION:
                if attempt.answered or not attempt.from_pool or not repeatable(arguments):
                    raise
            # Its connections are new, so the next failure is raised.
            session = self._sessions.single_use()
