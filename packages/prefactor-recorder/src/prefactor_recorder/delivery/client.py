"""The API client of delivery: sends requests and translates every error into a `Failure`.

Only the delivery thread imports this module, and never at startup: it loads the HTTP client.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import orjson

from prefactor_http import (
    HttpClientConfig,
    PrefactorApiError,
    PrefactorHttpClient,
    PrefactorHttpError,
    PrefactorNetworkError,
    PrefactorNotFoundError,
    PrefactorRequestError,
    PrefactorResponseContractError,
    RequestOptions,
)
from prefactor_http import __version__ as client_version
from prefactor_http.exceptions import LOST_CONNECTION, is_retryable
from prefactor_recorder._version import __version__
from prefactor_recorder.delivery.dns import BlockingResolver
from prefactor_recorder.delivery.outcomes import Failure

if TYPE_CHECKING:
    from prefactor_http import RawResponse
    from prefactor_recorder.delivery.settings import DeliverySettings
    from prefactor_recorder.delivery.stats import DeliveryStats

BULK = "/api/v1/bulk"
HEARTBEAT = "/api/v1/agent_instance/heartbeat"
RUN = "/api/v1/agent_instance/"
COMPRESSION_THRESHOLD = 1024
"""Bytes from which a body is compressed, if the server accepts gzip."""
_MINIMAL = RequestOptions(headers={"Prefer": "return=minimal"})
"""Asks the server to leave out what delivery sent itself. Servers may ignore it (RFC 7240)."""
_GZIP = 16 + zlib.MAX_WBITS
_UNSUPPORTED_MEDIA_TYPE = 415
_UNKNOWN_OPERATION = frozenset({404, 405})


class RequestFailed(Exception):
    """A request failed as a whole."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ApiClient:
    """Sends delivery's requests. The client itself never retries, because delivery does.

    Raises:
        ValueError: The URL or the token is invalid.
    """

    def __init__(self, settings: DeliverySettings, stats: DeliveryStats) -> None:
        config = HttpClientConfig(
            settings.api_url,
            settings.api_token,
            request_timeout=settings.request_timeout,
            connect_timeout=settings.connect_timeout,
            max_retries=0,
        )
        self._client = PrefactorHttpClient(
            config,
            f"prefactor-recorder@{__version__} prefactor-http@{client_version}",
            ssl=settings.ssl,
            proxy=settings.proxy,
            resolver=BlockingResolver(),
        )
        self._stats = stats
        self._accepts_gzip = False

    async def post_bulk(self, body: bytes) -> dict[str, Any]:
        """Send a bulk request and return its outputs by idempotency key.

        Raises:
            RequestFailed: The request failed as a whole.
        """
        reply = await self._post(body)
        return _outputs(reply)

    async def get_run(self, run_id: str) -> dict[str, Any] | None:
        """Return the details of a run, or None if the server does not know it.

        Raises:
            RequestFailed: The server gave no usable response.
        """
        self._stats.requests += 1
        try:
            reply = await self._client.request("GET", RUN + quote(run_id, safe=""))
        except PrefactorNotFoundError:
            return None
        except PrefactorHttpError as error:
            raise RequestFailed(_failure(error)) from error
        details = reply.get("details")
        return cast("dict[str, Any]", details) if isinstance(details, dict) else {}

    async def post_heartbeat(self, ids: list[str]) -> dict[str, Any] | None:
        """Send a heartbeat. Return control signals by run, or None if the server has no heartbeats.

        Raises:
            RequestFailed: The server gave no usable response.
        """
        self._stats.requests += 1
        try:
            reply = await self._client.request("POST", HEARTBEAT, json_data={"ids": ids})
        except PrefactorApiError as error:
            # A server without heartbeats takes this path for a run's, which does not allow POST.
            if error.status_code in _UNKNOWN_OPERATION:
                return None
            raise RequestFailed(_failure(error)) from error
        except PrefactorHttpError as error:
            raise RequestFailed(_failure(error)) from error
        details = reply.get("details")
        if not isinstance(details, dict):
            return {}
        controls = cast("dict[str, Any]", details).get("controls")
        return cast("dict[str, Any]", controls) if isinstance(controls, dict) else {}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _post(self, body: bytes) -> RawResponse:
        compressed = self._accepts_gzip and len(body) >= COMPRESSION_THRESHOLD
        content = _gzip(body) if compressed else body
        self._stats.requests += 1
        self._stats.bytes_sent += len(content)
        try:
            reply = await self._client.request_bytes(
                "POST",
                BULK,
                content,
                content_encoding="gzip" if compressed else None,
                options=_MINIMAL,
            )
        except PrefactorHttpError as error:
            if compressed and getattr(error, "status_code", None) == _UNSUPPORTED_MEDIA_TYPE:
                # A proxy on the way no longer accepts gzip.
                self._accepts_gzip = False
                return await self._post(body)
            raise RequestFailed(_failure(error)) from error
        self._accepts_gzip = "gzip" in reply.headers.get("Accept-Encoding", "").lower()
        return reply


def _gzip(body: bytes) -> bytes:
    # Level 1: higher levels take twice as long to save a tenth.
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    return packer.compress(body) + packer.flush()


def _outputs(reply: RawResponse) -> dict[str, Any]:
    try:
        value = orjson.loads(reply.body)
        outputs = value["outputs"]
    except (ValueError, TypeError, KeyError):
        outputs = None
    if not isinstance(outputs, dict):
        message = f"status {reply.status} without the outputs of a bulk request"
        raise RequestFailed(Failure(message, status=reply.status))
    return cast("dict[str, Any]", outputs)


def _failure(error: PrefactorHttpError) -> Failure:
    """Convert an error. Its own text is left out wherever it could quote a body."""
    match error:
        case PrefactorApiError():
            # `unknown` is also what the client reports for a body without a code.
            code = None if error.code == "unknown" else error.code
            message = f"status {error.status_code}: {error.message}"
            return Failure(
                message,
                error.status_code,
                code,
                error.retry_after,
                limit=error.limit,
                limit_of=error.limit_of,
            )
        case PrefactorResponseContractError():
            message = f"status {error.status_code} without an API response"
            return Failure(message, error.status_code, None, error.retry_after)
        case PrefactorNetworkError() if not is_retryable(error):
            sent = error.may_have_been_processed
            return Failure(error.message, sent=sent, unsendable=True)
        case PrefactorNetworkError():
            sent = error.may_have_been_processed
            dropped = sent and isinstance(error, LOST_CONNECTION)
            return Failure(error.message, sent=sent, dropped=dropped)
        case PrefactorRequestError():
            return Failure(error.message, sent=False, unsendable=True)
        case _:
            return Failure(error.message)
