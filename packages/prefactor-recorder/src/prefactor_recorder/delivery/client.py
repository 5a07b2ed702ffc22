"""The one place that talks: a bulk request out, its outputs in, and every failure in our words.

Imported by the delivery thread and never at start: this is what loads the HTTP client.
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
)
from prefactor_http import __version__ as client_version
from prefactor_http.exceptions import LOST_CONNECTION
from prefactor_recorder._version import __version__
from prefactor_recorder.delivery.dns import InPlaceResolver
from prefactor_recorder.delivery.outcomes import Failure

if TYPE_CHECKING:
    from prefactor_http import RawResponse
    from prefactor_recorder.delivery.settings import DeliverySettings
    from prefactor_recorder.delivery.stats import DeliveryStats

BULK = "/api/v1/bulk"
RUN = "/api/v1/agent_instance/"
WORTH_COMPRESSING = 1024
"""Bytes of a body from which on it is compressed, if the server takes that."""
_GZIP = 16 + zlib.MAX_WBITS
_UNSUPPORTED_MEDIA_TYPE = 415


class Lost(Exception):
    """A request failed as a whole."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Sender:
    """Talks to the API with a client of its own, which retries nothing: delivery does that.

    Raises:
        ValueError: The address or the token cannot be used at all.
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
            resolver=InPlaceResolver(),
        )
        self._stats = stats
        self._takes_gzip = False

    async def bulk(self, body: bytes) -> dict[str, Any]:
        """Send a bulk request; the outputs by key.

        Raises:
            Lost: It failed as a whole.
        """
        reply = await self._post(body)
        return _outputs(reply)

    async def run(self, run_id: str) -> dict[str, Any] | None:
        """What the server has about a run; None if it does not have it.

        Raises:
            Lost: It did not say.
        """
        self._stats.requests += 1
        try:
            reply = await self._client.request("GET", RUN + quote(run_id, safe=""))
        except PrefactorNotFoundError:
            return None
        except PrefactorHttpError as error:
            raise Lost(_failure(error)) from error
        details = reply.get("details")
        return cast("dict[str, Any]", details) if isinstance(details, dict) else {}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _post(self, body: bytes) -> RawResponse:
        compressed = self._takes_gzip and len(body) >= WORTH_COMPRESSING
        content = _gzipped(body) if compressed else body
        self._stats.requests += 1
        self._stats.bytes_sent += len(content)
        try:
            reply = await self._client.request_bytes(
                "POST", BULK, content, content_encoding="gzip" if compressed else None
            )
        except PrefactorHttpError as error:
            if compressed and getattr(error, "status_code", None) == _UNSUPPORTED_MEDIA_TYPE:
                # Somebody in between has changed its mind.
                self._takes_gzip = False
                return await self._post(body)
            raise Lost(_failure(error)) from error
        self._takes_gzip = "gzip" in reply.headers.get("Accept-Encoding", "").lower()
        return reply


def _gzipped(body: bytes) -> bytes:
    # Level 1: the next levels take twice the time for a tenth less.
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
        raise Lost(Failure(message, status=reply.status))
    return cast("dict[str, Any]", outputs)


def _failure(error: PrefactorHttpError) -> Failure:
    """What is told of an error: never its text where that may quote a body."""
    match error:
        case PrefactorApiError():
            # Codes of the API are words; `unknown` also stands for a body that said nothing.
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
            message = f"status {error.status_code} without an answer of the API"
            return Failure(message, error.status_code, None, error.retry_after)
        case PrefactorNetworkError():
            sent = error.may_have_been_processed
            dropped = sent and isinstance(error, LOST_CONNECTION)
            return Failure(error.message, sent=sent, dropped=dropped)
        case PrefactorRequestError():
            return Failure(error.message, sent=False, hopeless=True)
        case _:
            return Failure(error.message)
