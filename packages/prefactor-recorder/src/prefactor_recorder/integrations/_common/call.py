"""One call of a model, from the request to the last chunk of the response, as a span.

The pure functions of an `Endpoint` decide what is recorded of a vendor's request and response. A
`Call` decides when the span ends and with which status. Failures in these functions do not affect
the call, whose span then ends with what is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from prefactor_otel.json_values import loads, members
from prefactor_recorder.guard import guarded

if TYPE_CHECKING:
    from prefactor_recorder.span import Span

JsonObject = dict[str, Any]
SECOND = 1_000_000_000
"""Nanoseconds."""
REQUEST_ID_HEADERS = ("x-request-id", "request-id")
"""The headers with the id that the vendors' support asks for."""

UNSET_CLASSES = frozenset({"Omit", "NotGiven"})
"""Class names of the clients' placeholders for parameters that were not passed."""


class Merger(Protocol):
    """Merges the chunks of a streamed response, in bounded memory."""

    done: bool
    """Whether the model has finished its response."""

    def add(self, chunk: Any) -> bool:
        """Add a chunk as the client yields it. Return whether it has any content."""
        ...

    def merged(self) -> JsonObject:
        """Return what has arrived, in the form of a response that was not streamed."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """How calls of one endpoint are recorded."""

    schema_name: str
    """The span type."""
    payload: Callable[[JsonObject], JsonObject]
    """Returns the payload of the span for the body of a request."""
    body: Callable[[Any], JsonObject]
    """Converts the vendor's model to JSON as the vendor's API sent it."""
    result: Callable[[JsonObject], JsonObject]
    """Returns the result of the span for the body of a response. With `error`, the span failed."""
    merger: Callable[[], Merger]
    """Creates the merger of a streamed response."""


def dump_model(model: Any) -> JsonObject:
    """Return a vendor's model as JSON, or the JSON object that older clients return instead."""
    if not hasattr(model, "model_dump"):
        return members(model)
    # No warnings, because a parsed response holds a model of the host, which the vendor's class
    # does not declare.
    body: JsonObject = model.model_dump(mode="json", exclude_unset=True, warnings=False)
    return body


def model_fields(model: Any) -> JsonObject:
    """Return a model's fields, including those unknown to the client, without copying them.

    Used because `getattr` is slow for attributes that a model lacks.
    """
    extra = getattr(model, "model_extra", None)
    return {**model.__dict__, **extra} if extra else model.__dict__


class Call:
    """A call in progress. Ends once: by its response, an error, the end of a stream, or deletion.

    Only the object returned to the host refers to it. If the host drops a stream without closing
    it, the call is deleted with the stream and ends the span.
    """

    __slots__ = (
        "__weakref__",
        "_endpoint",
        "_merger",
        "_metadata",
        "_span",
        "_started",
        "active_reads",
        "ended",
    )

    def __init__(self, span: Span, endpoint: Endpoint) -> None:
        self.active_reads = 0
        """Reads in progress. A close during a read is not the host's."""
        self.ended = False
        """Whether the span has ended."""
        self._span = span
        self._endpoint = endpoint
        self._merger: Merger | None = None
        self._metadata: JsonObject = {}
        self._started = self._now()

    def _now(self) -> int:
        return self._span.run.sink.clock.elapsed()

    @guarded
    def on_response(self, model: Any) -> None:
        """End with a complete response, given as the vendor's model."""
        request_id = getattr(model, "_request_id", None)
        if request_id:
            self._metadata["request_id"] = request_id
        self._finish("complete", _safe_body(self._endpoint, model))

    @guarded
    def on_http_response(self, response: Any) -> None:
        """End with a complete response, given as an HTTP response whose body has been read."""
        self.on_response_head(response)
        self._finish("complete", _decode_body(response))

    @guarded
    def on_response_head(self, response: Any) -> None:
        """Take the request id from the headers of a response."""
        for name in REQUEST_ID_HEADERS:
            if name in response.headers:
                self._metadata["request_id"] = response.headers[name]
                return

    def on_stream_start(self) -> None:
        """Expect chunks."""
        self._merger = self._endpoint.merger()

    @guarded
    def on_chunk(self, chunk: Any) -> None:
        """Add a chunk that the host received."""
        if self.ended or self._merger is None:
            return
        if self._merger.add(chunk) and "time_to_first_token" not in self._metadata:
            self._metadata["time_to_first_token"] = (self._now() - self._started) / SECOND

    @guarded
    def on_stream_end(self) -> None:
        """End with a stream that was read completely."""
        self._finish("complete", None)

    @guarded
    def on_close(self) -> None:
        """End because the host stopped reading.

        The span is cancelled if a stream had not finished. It is complete otherwise, or if the host
        reads the response in another way.
        """
        if not self.active_reads:
            unfinished = self._merger is not None and not self._merger.done
            self._finish("cancelled" if unfinished else "complete", None)

    @guarded
    def on_error(self, error: BaseException) -> None:
        """End with an exception of the call or of reading its response."""
        if self.ended:
            return
        self.ended = True
        for name in ("request_id", "status_code"):
            if getattr(error, name, None) is not None:
                self._metadata[name] = getattr(error, name)
        # A response that the client could not parse has still used tokens.
        result = self._result(_safe_body(self._endpoint, getattr(error, "completion", None)))
        if result:
            self._span.set_result(result)
        self._span.end_with(error)

    def _finish(self, status: Any, body: JsonObject | None) -> None:
        if self.ended:
            return
        self.ended = True
        result = self._result(body)
        self._span.finish(result, status="failed" if "error" in result else status)

    def _result(self, body: JsonObject | None) -> JsonObject:
        kept = _safe_result(self._endpoint, self._merger, body) or {}
        return {**kept, **self._metadata}

    def __del__(self) -> None:
        if not self.ended:
            self.active_reads = 0
            self.on_close()


@guarded
def _safe_body(endpoint: Endpoint, model: Any) -> JsonObject | None:
    return None if model is None else endpoint.body(model)


def _decode_body(response: Any) -> JsonObject:
    try:
        return members(loads(response.content))
    except (ValueError, RecursionError):
        return {}  # for example, the error page of a proxy


@guarded
def _safe_result(endpoint: Endpoint, merger: Merger | None, body: JsonObject | None) -> JsonObject:
    """Return the result for a response, or for as much of it as has arrived."""
    if body is None and merger is not None:
        body = merger.merged()
    return endpoint.result(body) if body else {}


@guarded
def recorded_payload(endpoint: Endpoint, options: Any) -> JsonObject:
    """Return the payload for a request. Only its body is read, because headers contain keys."""
    whole = {**members(options.json_data), **members(getattr(options, "extra_json", None))}
    return endpoint.payload(
        {name: value for name, value in whole.items() if type(value).__name__ not in UNSET_CLASSES}
    )
