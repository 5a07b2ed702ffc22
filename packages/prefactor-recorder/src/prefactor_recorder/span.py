"""A span: one step of a run, written to the journal when it begins and again when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

from prefactor_recorder.context import Block, enter, leave
from prefactor_recorder.encoding.clock import json_timestamp
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.guard import guarded
from prefactor_recorder.outcome import (
    CANCELLATIONS,
    Status,
    exception_info,
    given_time,
    result_members,
    status_member,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from types import TracebackType

    from prefactor_recorder.context import Entered
    from prefactor_recorder.sink import Sink


# Looking up a member of an enum takes longer than some of the steps below.
CREATE_SPAN, FINISH_SPAN = Operation.CREATE_SPAN, Operation.FINISH_SPAN
UNREADABLE = b'{"prefactor.encoding_failed":true}'
"""Replaces a payload whose encoding was interrupted."""


class Root:
    """The type of `ROOT`."""

    def __repr__(self) -> str:
        return "ROOT"


ROOT = Root()
"""Pass as `parent=` to make a span a root of its run, regardless of the current span."""


class RunLike(Protocol):
    """The part of `Run` that a span uses. Importing `Run` would be a circle."""

    id: str
    encoded_id: bytes
    partition: str
    live: bool
    offset: int
    agent: str | None

    @property
    def sink(self) -> Sink:
        """The sink to write to."""
        ...

    @property
    def terminated(self) -> bool:
        """Whether the server reported that it was terminated."""
        ...

    @property
    def termination_reason(self) -> str | None:
        """The reason given for the termination, if any."""
        ...

    def report_termination(self) -> None:
        """Report the termination: call the callback, or raise `RunTerminated`."""
        ...

    def resolve_parent(self, parent: Span | str | Root | None) -> str | None:
        """Return the id to record as the parent of a span that begins now."""
        ...

    def finish(self, status: Status = "complete", *, finished_at: datetime | None = None) -> None:
        """Record that it has ended."""
        ...

    def span(
        self,
        schema_name: str,
        payload: Mapping[str, Any] | Any = None,
        *,
        parent: Span | str | Root | None = None,
    ) -> Span:
        """Return another span of it, which begins when its block is entered."""
        ...

    def start_span(
        self,
        schema_name: str,
        payload: Mapping[str, Any] | Any = None,
        *,
        parent: Span | str | Root | None = None,
        started_at: datetime | None = None,
    ) -> Span:
        """Return another span of it that has begun."""
        ...


class Span(Block):
    """A step of a run: `with run.span("agent:llm", {...}) as span:`, or with `async with`.

    It begins when the block is entered and ends when the block is left: as complete, as failed if
    the block raises, or as cancelled. A failure adds type, message and stack trace to the result as
    `error`, and the exception is re-raised. Spans recorded in the block become its children.

    `run.start_span` returns a span that has begun. End it with `finish`, `fail` or `cancel`; a
    second end is ignored.
    """

    __slots__ = (
        "__weakref__",
        "_begun",
        "_ended",
        "_entered",
        "_id_for_children",
        "_parent",
        "_payload",
        "_recorded",
        "_result",
        "id",
        "run",
        "schema_name",
    )

    def __init__(self, run: RunLike, schema_name: str, payload: Any, parent: Any) -> None:
        self.run = run
        """Its run."""
        self.schema_name = schema_name
        """The span type."""
        self.id = ""
        """Its id; empty until it has begun, and in a run that is not recorded."""
        self._payload = payload
        self._parent = parent
        self._result: Any = None
        self._recorded = self._ended = False
        self._id_for_children: str | None = None
        self._begun = 0
        self._entered: Entered | None = None

    def set_result(self, result: Mapping[str, Any] | Any) -> None:
        """Set the result that is recorded when the span ends. Replaces an earlier one.

        Args:
            result: A mapping, a model or a dataclass; anything else is kept as `{"value": …}`.
        """
        self._result = result

    @guarded
    def finish(
        self,
        result: Mapping[str, Any] | Any = None,
        *,
        status: Status = "complete",
        finished_at: datetime | None = None,
    ) -> None:
        """End the span. Does nothing if it has ended.

        Args:
            result: As for `set_result`; None keeps that result.
            status: How it ended.
            finished_at: When, if not now.
        """
        if self._ended:
            return
        self._ended = True
        if result is not None:
            self._result = result
        self._write_end(status, finished_at)

    @guarded
    def fail(self, error: BaseException) -> None:
        """End the span as failed, with type, message and stack trace of an exception as `error`."""
        if not self._ended:
            self._ended = True
            self._write_end("failed", None, error)

    def cancel(self) -> None:
        """End the span as cancelled."""
        self.finish(status="cancelled")

    def current(self) -> AbstractContextManager[Span]:
        """Return a context manager that makes this span current without ending it."""
        return _Current(self)

    def __enter__(self) -> Self:
        run = self.run
        if run.live:
            if run.terminated:
                run.report_termination()
            self.begin()
        self._entered = enter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._entered is not None:
            leave(self._entered)
            self._entered = None
        if error is None:
            self.finish()
        else:
            self.end_with(error)

    def end_with(self, error: BaseException) -> None:
        """End the span as a block that raised `error` ends: cancelled or failed."""
        if isinstance(error, CANCELLATIONS):
            self.cancel()
        else:
            self.fail(error)

    @guarded
    def begin(self, started_at: datetime | None = None) -> None:
        """Record that it has begun, now or at `started_at`. Called once."""
        run = self.run
        sink = run.sink
        above = run.resolve_parent(self._parent)
        now = sink.clock.elapsed() + run.offset
        started = now if started_at is None else given_time(started_at, now)
        self.id = sink.ids.new_id(started, run.partition)
        self._begun = started
        payload, self._payload = self._payload, None  # do not keep it alive until the end
        try:
            encoded = sink.payload(self.schema_name, payload)
        except BaseException as error:
            # If it passes the guard, the host never enters the block that would end the span.
            self._write_start(sink, above, UNREADABLE)
            if not isinstance(error, Exception):
                self.end_with(error)
            raise
        self._write_start(sink, above, encoded)

    def _write_start(self, sink: Sink, above: str | None, encoded: bytes) -> None:
        run, name = self.run, self.id.encode()
        body = (
            b'"agent_instance_id":"%b","id":"%b","parent_span_id":%b,"schema_name":%b,'
            b'"started_at":%b,"payload":%b'
            % (
                run.encoded_id,
                name,
                b"null" if above is None else b'"%b"' % above.encode(),
                sink.name(self.schema_name, run.agent),
                json_timestamp(self._begun),
                encoded,
            )
        )
        self._recorded = sink.write(CREATE_SPAN, run.encoded_id, name, body)
        # If the journal was full, its children get its parent.
        self._id_for_children = self.id if self._recorded else above

    @property
    def id_for_children(self) -> str | None:
        """The id that its children record as their parent."""
        return self._id_for_children

    def _write_end(
        self, status: Status, finished_at: datetime | None, error: BaseException | None = None
    ) -> None:
        if not self._recorded:
            return
        run = self.run
        sink = run.sink
        ended = sink.clock.elapsed() + run.offset
        member = b""
        try:
            if finished_at is not None:
                ended = given_time(finished_at, ended)
            member = self._result_member(sink, error)
        finally:
            # Even if the host's code raises something that passes the guard.
            body = json_timestamp(max(ended, self._begun)) + status_member(status) + member
            sink.write(FINISH_SPAN, run.encoded_id, self.id.encode(), body)

    def _result_member(self, sink: Sink, error: BaseException | None) -> bytes:
        result, self._result = self._result, None
        if error is not None:
            result = {**result_members(result, sink.limit), "error": exception_info(error)}
        if result is None:
            return b""
        return b',"result_payload":' + sink.payload(self.schema_name, result)

    def __repr__(self) -> str:
        return f"<Span {self.schema_name} {self.id or 'not begun'}>"


class _Current:
    """Makes a span current for a block."""

    __slots__ = ("_entered", "_span")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        self._entered = enter(self._span)
        return self._span

    def __exit__(self, *_: object) -> None:
        leave(self._entered)
