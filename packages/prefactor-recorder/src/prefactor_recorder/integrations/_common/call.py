"""One call of a model, from the request to the last piece of the answer: a span and its end.

What is kept of a vendor's request and answer is decided by pure functions, one `Endpoint` for each;
here is only when the span ends and as what. Whatever goes wrong in them is the recorder's affair:
the call goes on, and its span ends with what is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from prefactor_recorder.guard import guarded
from prefactor_recorder.integrations._common.payloads import loads, members

if TYPE_CHECKING:
    from prefactor_recorder.span import Span

JsonObject = dict[str, Any]
SECOND = 1_000_000_000
"""Nanoseconds."""
REQUEST_ID_HEADERS = ("x-request-id", "request-id")
"""What the vendors call the id that their support asks for."""

UNSET_CLASSES = frozenset({"Omit", "NotGiven"})
"""Classes of what stands for a parameter that nobody gave, until the client builds its request."""


class Merger(Protocol):
    """Puts the pieces of a streamed answer together, in bounded memory."""

    done: bool
    """Whether the model said that its answer ends."""

    def add(self, chunk: Any) -> bool:
        """Take a piece as the client yields it; whether it carries anything of the answer."""
        ...

    def merged(self) -> JsonObject:
        """What has arrived, in the shape of an answer that was not streamed."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """How calls of one endpoint are recorded."""

    schema_name: str
    """The span type."""
    payload: Callable[[JsonObject], JsonObject]
    """From the body of the request to what the span keeps of it."""
    body: Callable[[Any], JsonObject]
    """From the vendor's model to JSON as the vendor's API sent it."""
    result: Callable[[JsonObject], JsonObject]
    """From the body of the answer to what the span keeps; with `error`, the span has failed."""
    merger: Callable[[], Merger]
    """For the pieces of a streamed answer."""


def dump_model(model: Any) -> JsonObject:
    """A vendor's model as JSON, or the JSON object that an older client has in its place."""
    if not hasattr(model, "model_dump"):
        return members(model)
    # A parsed answer holds the host's own model where the vendor declares none, which is right and
    # would be warned about.
    body: JsonObject = model.model_dump(mode="json", exclude_unset=True, warnings=False)
    return body


def model_fields(model: Any) -> JsonObject:
    """A model's fields, those that the vendor's client does not know included; not a copy.

    Asking a model for an attribute that it lacks is slow: it searches, and raises.
    """
    extra = getattr(model, "model_extra", None)
    return {**model.__dict__, **extra} if extra else model.__dict__


class Call:
    """A call under way. Ends once: by its answer, an error, the end of a stream, or being dropped.

    It is held by what the host was handed and holds nothing of it, so that a stream which nobody
    closes takes the call with it, and the span ends there.
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
        """How many reads of the answer are under way: what they close is not closed by the host."""
        self.ended = False
        """Whether the span has been ended."""
        self._span = span
        self._endpoint = endpoint
        self._merger: Merger | None = None
        self._metadata: JsonObject = {}
        self._started = self._now()

    def _now(self) -> int:
        return self._span.run.sink.clock.elapsed()

    @guarded
    def on_response(self, model: Any) -> None:
        """The whole answer is there, as the vendor's model."""
        request_id = getattr(model, "_request_id", None)
        if request_id:
            self._metadata["request_id"] = request_id
        self._finish("complete", _safe_body(self._endpoint, model))

    @guarded
    def on_http_response(self, response: Any) -> None:
        """The whole answer is there, as an HTTP response whose body has been read."""
        self.on_response_head(response)
        self._finish("complete", _decode_body(response))

    @guarded
    def on_response_head(self, response: Any) -> None:
        """The head of the answer is there."""
        for name in REQUEST_ID_HEADERS:
            if name in response.headers:
                self._metadata["request_id"] = response.headers[name]
                return

    def on_stream_start(self) -> None:
        """The answer is going to be read piece by piece."""
        self._merger = self._endpoint.merger()

    @guarded
    def on_chunk(self, chunk: Any) -> None:
        """A piece of the answer went to the host."""
        if self.ended or self._merger is None:
            return
        if self._merger.add(chunk) and "time_to_first_token" not in self._metadata:
            self._metadata["time_to_first_token"] = (self._now() - self._started) / SECOND

    @guarded
    def on_stream_end(self) -> None:
        """The stream has been read to its end."""
        self._finish("complete", None)

    @guarded
    def on_close(self) -> None:
        """The host will not read on.

        A stream that was left before its end was cancelled; one that had said all, or an answer
        that the host reads in a way of its own, was not.
        """
        if not self.active_reads:
            left = self._merger is not None and not self._merger.done
            self._finish("cancelled" if left else "complete", None)

    @guarded
    def on_error(self, error: BaseException) -> None:
        """The call, or the reading of its answer, failed or was cancelled."""
        if self.ended:
            return
        self.ended = True
        for name in ("request_id", "status_code"):
            if getattr(error, name, None) is not None:
                self._metadata[name] = getattr(error, name)
        # An answer that the client could not parse cost its tokens all the same.
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
        return {}  # a proxy's page, say, which the host looks at itself


@guarded
def _safe_result(endpoint: Endpoint, merger: Merger | None, body: JsonObject | None) -> JsonObject:
    """What is kept of an answer, or of as much of it as has arrived."""
    if body is None and merger is not None:
        body = merger.merged()
    return endpoint.result(body) if body else {}


@guarded
def recorded_payload(endpoint: Endpoint, options: Any) -> JsonObject:
    """What is kept of a request: its body alone, so that no key and no header comes along."""
    whole = {**members(options.json_data), **members(getattr(options, "extra_json", None))}
    return endpoint.payload(
        {name: value for name, value in whole.items() if type(value).__name__ not in UNSET_CLASSES}
    )
