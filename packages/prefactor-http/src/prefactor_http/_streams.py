"""The part of the client that reads responses as they arrive: event streams and downloads."""

from __future__ import annotations

import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from prefactor_http._calls import Call
from prefactor_http._transport.connections import EVENT_STREAM, current_attempt, open_stream
from prefactor_http._transport.encoding import as_list, query, request_url
from prefactor_http._transport.inflate import Inflater
from prefactor_http._transport.limits import Attempt
from prefactor_http._transport.responses import parse, unreadable
from prefactor_http._transport.translation import translated
from prefactor_http.exceptions import (
    NETWORK_FAILURES,
    PrefactorClientError,
    PrefactorResponseContractError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable, Mapping

    from prefactor_http._calls import Context
    from prefactor_http._options import RequestOptions
    from prefactor_http._transport.connections import StreamedResponse
    from prefactor_http._transport.headers import Headers
    from prefactor_http._transport.sessions import Sessions
    from prefactor_http.config import HttpClientConfig
    from prefactor_http.events import EventStream
    from prefactor_http.retry import RetryHandler

_PATH = "/api/v1/events"
STALE_AFTER = 45.0
"""Seconds of silence: three heartbeats of the server."""
DOWNLOAD_STALE_AFTER = 60.0
"""Seconds of silence for a download, which has no heartbeats."""
DOWNLOADS = ("application/x-ndjson", "application/json")
"""The media types of downloads."""


class Streams:
    """Base of the HTTP client: event streams and downloads."""

    config: HttpClientConfig
    _headers: Headers
    _options: RequestOptions
    _retry_handler: RetryHandler
    _sessions: Sessions[Any]
    _context: Context
    _extras: dict[str, Any]

    def events(
        self,
        *,
        agent_instance_ids: Iterable[str] = (),
        agent_ids: Iterable[str] = (),
        include_spans: bool = True,
        include_spans_of: Iterable[str] = (),
        last_event_id: int | None = None,
        stale_after: float = STALE_AFTER,
    ) -> EventStream:
        """Follow runs and spans while they change.

        Returns an asynchronous iterator of `LiveEvent` for use with `async with`. It reconnects by
        itself and requests missed changes. Its duration is unlimited. The limits of a call apply to
        opening the stream, and `stale_after` limits its silence.

        Args:
            agent_instance_ids: Runs to follow. Without runs and agents, all runs of the account.
            agent_ids: Agents whose runs to follow, by id or external identifier.
            include_spans: Whether to include changes of spans. False suits a list of runs.
            include_spans_of: Runs whose span changes to include. Those of other runs are omitted.
            last_event_id: The `position` of an earlier event to continue after; None to begin now.
            stale_after: Seconds without a byte, heartbeats included, after which the connection
                counts as lost.

        Raises:
            ValueError: `stale_after` is not positive.
        """
        from prefactor_http.events import EventStream  # noqa: PLC0415

        if not stale_after > 0:
            message = "stale_after must be positive"
            raise ValueError(message)
        ids = {
            "agent_instance_ids": agent_instance_ids,
            "agent_ids": agent_ids,
            "include_spans_of": include_spans_of,
        }
        params: dict[str, Any] = {
            name: ",".join(listed)
            for name, given in ids.items()
            if (listed := as_list(name, given or ()))
        }
        if not include_spans:
            params["include_spans"] = False

        sessions, close_count = self._sessions, self._sessions.close_count

        async def connect(after: int | None) -> StreamedResponse:
            if sessions.close_count != close_count:
                message = "The client was closed, and its event streams with it"
                raise PrefactorClientError(message)
            headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
            if after is not None:
                headers["Last-Event-ID"] = str(after)

            async def attempt(*request: Any, **limits: Any) -> StreamedResponse:
                opened = await self._open_stream(
                    *request, stale_after=stale_after, more=headers, **limits
                )
                if opened.coding is not None:
                    opened.close()
                    raise unreadable("GET", _PATH, HTTPStatus.OK, opened.coding)
                return opened

            call = Call(
                self._context, self._options, attempt, "GET", _PATH, query(params), None, None
            )
            return await self._retry_handler.run(call)

        return EventStream(
            connect,
            self._retry_handler.pause,
            last_event_id=last_event_id,
            max_block_bytes=self._options.max_response_bytes or self.config.max_response_bytes,
        )

    async def download(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        stale_after: float = DOWNLOAD_STALE_AFTER,
        options: RequestOptions | None = None,
    ) -> AsyncGenerator[bytes]:
        """Yield the uncompressed body of a response of any size as it arrives.

        Opening it is retried like any call. A later failure is not, because chunks have already
        been yielded. A call's limits apply to opening it, and `stale_after` limits its silence.

        Args:
            path: Path below `api_url`, sent verbatim.
            params: Query parameters.
            stale_after: Seconds without a byte after which the connection counts as lost.
            options: Limits and headers of this call only.

        Raises:
            ValueError: `stale_after` is not positive.
            PrefactorApiError: The server rejected the request (a subclass by status).
            PrefactorNetworkError: The connection failed, or broke off before the end.
        """
        if not stale_after > 0:
            message = "stale_after must be positive"
            raise ValueError(message)
        headers = {"Accept": ", ".join(DOWNLOADS), "Accept-Encoding": "gzip"}

        async def attempt(*request: Any, **limits: Any) -> StreamedResponse:
            return await self._open_stream(
                *request, stale_after=stale_after, more=headers, media_types=DOWNLOADS, **limits
            )

        merged = self._options if options is None else self._options.merge(options)
        parameters = None if params is None else query(params)
        call = Call(self._context, merged, attempt, "GET", path, parameters, None, None)
        opened = await self._retry_handler.run(call)
        try:
            inflater = Inflater(opened.coding)
            while body := await opened.read():
                for piece in inflater.pieces(body):
                    yield piece
            if not opened.is_whole:
                message = "The client was closed, and its downloads with it"
                raise PrefactorClientError(message)
            if rest := inflater.end():
                yield rest
        except zlib.error as error:
            message = f"The response of {path} cannot be uncompressed: {error}"
            raise PrefactorResponseContractError(message) from None
        finally:
            opened.close()

    async def _open_stream(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        json_data: None = None,  # noqa: ARG002 - what all calls pass
        idempotency_key: None = None,  # noqa: ARG002 - what all calls pass
        *,
        stale_after: float,
        more: Mapping[str, str],
        media_types: Collection[str] = (EVENT_STREAM,),
        seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
    ) -> StreamedResponse:
        """Make one attempt to open a stream, with the time limit of a normal attempt."""
        extra = {**more, **(headers or {})}
        sent, redactor = self._headers.of(self.config.api_token, None, extra)
        arguments = {
            "method": method,
            "url": request_url(self.config.api_url, path),
            "params": params,
            "headers": sent,
            **self._extras,
        }

        def as_ours(error: Exception) -> Exception:
            return translated(error, f"{method} {path}", redactor, stale_after)

        limits = seconds or self.config.request_timeout
        try:
            with Attempt(self._sessions.timeout_watcher(), limits) as attempt:
                current_attempt.set(attempt)
                limit = max_bytes or self.config.max_response_bytes
                opened = await open_stream(
                    await self._sessions.ensure(),
                    arguments,
                    self.config,
                    media_types=media_types,
                    stale_after=stale_after,
                    limit=limit,
                    as_ours=as_ours,
                )
                if opened.refusal is not None:
                    parse(opened.refusal, redactor)
                    message = f"Expected {' or '.join(media_types)} from {path}"
                    raise PrefactorResponseContractError(message, status_code=opened.refusal.status)
        except NETWORK_FAILURES as error:
            raise translated(error, f"{method} {path}", redactor, limits)  # noqa: B904 - has a cause
        except (TypeError, ValueError) as error:
            raise as_ours(error) from None
        return opened
