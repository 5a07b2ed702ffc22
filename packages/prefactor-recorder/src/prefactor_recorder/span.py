"""A span: one step of a run, written to the journal when it begins and again when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self
from zlib import crc32

from prefactor_recorder.context import Block, enter, leave
from prefactor_recorder.corrections import short_repr
from prefactor_recorder.encoding.clock import DIGITS, MILLISECOND, NEVER, format_millisecond
from prefactor_recorder.encoding.ids import LENGTH, partition_of, time_part
from prefactor_recorder.encoding.record import Operation, head, pack_frame
from prefactor_recorder.encoding.values import encode_object
from prefactor_recorder.guard import failures, guarded, is_interrupt, not_interrupts
from prefactor_recorder.outcome import (
    STATUSES,
    Status,
    exception_info,
    given_time,
    is_cancellation,
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


NO_PARENT = '","parent_span_id":null'
"""What follows the id of a span without a parent."""
COMPLETE, FAILED = STATUSES["complete"], STATUSES["failed"]
UNREADABLE = b'{"prefactor.encoding_failed":true}'
"""Replaces a payload whose encoding was interrupted."""


class Root:
    """The type of `ROOT`."""

    def __repr__(self) -> str:
        return "ROOT"


ROOT = Root()
"""Pass as `parent=` to make a span a root of its run, regardless of the current span."""


class Recording:
    """What all spans of a recorded run share, prepared once.

    Args:
        sink: The sink to write to.
        run_id: The id of the run.
        agent: The agent as the log names it.
    """

    __slots__ = (
        "agent",
        "begin_head",
        "end_head",
        "middle",
        "millisecond",
        "offset",
        "partition",
        "sink",
    )

    def __init__(self, sink: Sink, run_id: str, agent: str | None) -> None:
        self.sink = sink
        self.agent = agent
        self.partition = partition_of(run_id)
        """The partition of the ids below the run."""
        self.offset = sink.clock.wall() - sink.clock.elapsed()
        """Nanoseconds to add to the monotonic clock for Unix time, fixed for the whole run."""
        self.begin_head = head(Operation.CREATE_SPAN, run_id, LENGTH)
        """The text in front of the id, where a span begins."""
        self.middle = f'"agent_instance_id":"{run_id}","id":"'
        """The text between the id of a span and its repetition, where the span begins."""
        self.end_head = head(Operation.FINISH_SPAN, run_id, LENGTH)
        """The text in front of the id, where a span ends."""
        self.millisecond = (NEVER, "", "")
        """Nanoseconds since 1970 at the start of the last millisecond, and what its ids and its
        timestamps begin with. Read in one step, because another thread may replace it."""

    def new_millisecond(self, unix_ns: int) -> tuple[int, str, str]:
        """Prepare another millisecond."""
        start, timestamp = format_millisecond(unix_ns)
        self.millisecond = made = (start, time_part(unix_ns) + self.partition, timestamp)
        return made

    def now(self) -> int:
        """Return the Unix time in nanoseconds."""
        return self.sink.clock.elapsed() + self.offset


class RunLike(Protocol):
    """The part of `Run` that a span uses. Importing `Run` would be circular."""

    id: str
    live: bool
    recording: Recording | None
    termination: tuple[str | None] | None

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
        """Return a new span of the run, which begins when its block is entered."""
        ...

    def start_span(
        self,
        schema_name: str,
        payload: Mapping[str, Any] | Any = None,
        *,
        parent: Span | str | Root | None = None,
        started_at: datetime | None = None,
    ) -> Span:
        """Return a new span of the run that has begun."""
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
        "_parent",
        "_payload",
        "_recorded",
        "_result",
        "id",
        "id_for_children",
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
        self.id_for_children: str | None = None
        """The id that its children record as their parent."""
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
        if result is not None:
            self._result = result
        self._end(status_member(status), finished_at)

    def fail(self, error: BaseException) -> None:
        """End the span as failed, with type, message and stack trace of an exception as `error`."""
        self._end(FAILED, None, error)

    def cancel(self) -> None:
        """End the span as cancelled."""
        self.finish(status="cancelled")

    def current(self) -> AbstractContextManager[Span]:
        """Return a context manager that makes this span current without ending it."""
        return _Current(self)

    def __enter__(self) -> Self:
        run = self.run
        if run.live:
            if run.termination is not None:
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
            self._end(COMPLETE)
        else:
            self.end_with(error)

    def end_with(self, error: BaseException) -> None:
        """End the span as a block that raised `error` ends: cancelled or failed."""
        if is_cancellation(error):
            self.cancel()
        else:
            self.fail(error)

    # This method and `_end` are long and guard themselves, because the host waits for them at each
    # step, and calling further functions takes as long as the rest.

    def begin(self, started_at: datetime | None = None) -> None:
        """Record that it has begun, now or at `started_at`. Called once, in a recorded run."""
        try:
            run = self.run
            shared = run.recording
            if shared is None:
                return
            sink = shared.sink
            above = run.resolve_parent(self._parent)
            started = sink.clock.elapsed() + shared.offset
            if started_at is not None:
                started = given_time(started_at, started)
            self._begun = started
            start, prefix, timestamp = shared.millisecond
            if not 0 <= started - start < MILLISECOND:
                start, prefix, timestamp = shared.new_millisecond(started)
            self.id = name = prefix + sink.ids.random_part()
            payload, self._payload = self._payload, None  # do not keep it alive until the end
            encoded, interrupted = UNREADABLE, None
            try:
                encoded = (
                    encode_object(payload, sink.limit)
                    if sink.redact is None
                    else sink.redacted(self.schema_name, payload)
                )
            except BaseException as error:  # noqa: BLE001 - raised again below
                interrupted = error
            schema = self.schema_name
            named = sink.names.get(schema) if type(schema) is str else None
            if named is None:
                named = sink.name(schema, shared.agent)
            child_of = NO_PARENT if above is None else f'","parent_span_id":"{above}"'
            text = (
                f"{shared.begin_head}{name}{shared.middle}{name}{child_of}{named}{timestamp}"
                f'{DIGITS[(started - start) // 1000]}Z","payload":'
            )
            content = text.encode() + encoded
            kept = sink.append(pack_frame(len(content), crc32(content)) + content)
            self._recorded = kept
            if sink.deliverer.idle:
                sink.deliverer.wake()
            # If the journal was full, its children get its parent.
            self.id_for_children = name if kept else above
            if interrupted is not None:
                if is_interrupt(interrupted):
                    # The host never enters the block that would end the span.
                    self.end_with(interrupted)
                raise interrupted
        except not_interrupts() as error:  # this is the guard
            failures.note("Span.begin", error)

    def _end(
        self,
        status: str,
        finished_at: datetime | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Record that it has ended, with a member for the status. Does nothing if it has ended."""
        if self._ended:
            return
        self._ended = True
        shared = self.run.recording
        if shared is None or not self._recorded:
            return
        try:
            sink = shared.sink
            ended = sink.clock.elapsed() + shared.offset
            member, encoded = "", b""
            try:
                if finished_at is not None:
                    ended = given_time(finished_at, ended)
                result, self._result = self._result, None
                if error is not None:
                    result = {**result_members(result, sink.limit), "error": exception_info(error)}
                if result is not None:
                    encoded = (
                        encode_object(result, sink.limit)
                        if sink.redact is None
                        else sink.redacted(self.schema_name, result)
                    )
                    member = ',"result_payload":'
            finally:
                # Write the end even if the host's code raises something that passes the guard.
                if ended < self._begun:  # noqa: PLR1730 - `max` takes several times as long
                    ended = self._begun
                start, _, timestamp = shared.millisecond
                if not 0 <= ended - start < MILLISECOND:
                    start, _, timestamp = shared.new_millisecond(ended)
                digits = DIGITS[(ended - start) // 1000]
                text = f'{shared.end_head}{self.id}{timestamp}{digits}Z"{status}{member}'
                content = text.encode() + encoded
                sink.append(pack_frame(len(content), crc32(content)) + content)
                if sink.deliverer.idle:
                    sink.deliverer.wake()
        except not_interrupts() as failure:  # this is the guard
            failures.note("Span.finish", failure)

    def __repr__(self) -> str:
        name = self.schema_name if type(self.schema_name) is str else short_repr(self.schema_name)
        return f"<Span {name} {self.id or 'not begun'}>"


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
