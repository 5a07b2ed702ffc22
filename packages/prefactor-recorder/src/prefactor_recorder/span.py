"""One step of a run: it begins, it ends, and what is written at each end is on disk at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from prefactor_recorder.context import Block, enter, leave
from prefactor_recorder.corrections import shown
from prefactor_recorder.encoding.clock import quoted, unix_ns
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.guard import failures, guarded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from types import TracebackType

    from prefactor_recorder.context import Entered
    from prefactor_recorder.run import Run

Status = Literal["complete", "failed", "cancelled"]
"""How a span or a run can end."""

STATUSES: dict[str, bytes] = {
    "complete": b',"status":"complete"',
    "failed": b',"status":"failed"',
    "cancelled": b',"status":"cancelled"',
}
UNREADABLE = b'{"prefactor.encoding_failed":true}'
"""The payload of a span whose own could not be read to its end."""
MAX_STACK = 20_000
"""Characters kept of a stack trace, its end: that is where it failed."""

CANCELLATIONS = (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)
"""What ends a block without a failure in it."""


class Root:
    """The type of `ROOT`."""

    def __repr__(self) -> str:
        return "ROOT"


ROOT = Root()
"""As `parent=`: the span stands at the top of its run, whatever is current."""


class Span(Block):
    """A step of a run: `with run.span("agent:llm", {...}) as span:`, or with `async with`.

    It begins when the block is entered and ends when it is left: complete, failed when the block
    raised (type, message and stack go into the result as `error`, the exception goes on its way),
    or cancelled when the block was. Everything that is recorded in the block becomes its child.

    `run.start_span` gives one that has begun already and is ended by `finish`, `fail` or `cancel`;
    a second end is ignored.
    """

    __slots__ = (
        "__weakref__",
        "_anchor",
        "_begun",
        "_ended",
        "_entered",
        "_kept",
        "_parent",
        "_payload",
        "_result",
        "id",
        "run",
        "schema_name",
    )

    def __init__(self, run: Run, schema_name: str, payload: Any, parent: Any) -> None:
        self.run = run
        """The run it belongs to."""
        self.schema_name = schema_name
        """The span type."""
        self.id = ""
        """Its id, as soon as it has begun; empty before, and in a run that is not recorded."""
        self._payload = payload
        self._parent = parent
        self._result: Any = None
        self._kept = self._ended = False
        self._anchor: str | None = None
        self._begun = 0
        self._entered: Entered | None = None

    def set_result(self, result: Mapping[str, Any] | Any) -> None:
        """Set what the span came to, to be recorded when it ends; replaces what was set before.

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
        """End the span, unless it has ended.

        Args:
            result: As `set_result` takes it; None for what was set there.
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
        """End the span as failed, with type, message and stack of an exception in the result."""
        if not self._ended:
            self._ended = True
            self._write_end("failed", None, error)

    def cancel(self) -> None:
        """End the span as cancelled."""
        self.finish(status="cancelled")

    def current(self) -> AbstractContextManager[Span]:
        """Make a span that has begun the current one for a block, without ending it."""
        return _Current(self)

    def __enter__(self) -> Self:
        run = self.run
        if run.live:
            if run.terminated:
                run.refuse()
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
        """End the span as a block ends that raised this: cancelled or failed."""
        if isinstance(error, CANCELLATIONS):
            self.cancel()
        else:
            self.fail(error)

    @guarded
    def begin(self, started_at: datetime | None = None) -> None:
        """Record that it has begun, now or at another moment. Called once."""
        run = self.run
        core = run.core
        above = run.anchor(self._parent)
        now = core.clock.elapsed() + run.offset
        started = now if started_at is None else moment(started_at, now)
        self.id = core.mint.mint(started)
        self._begun = started
        payload, self._payload = self._payload, None  # a long span must not keep it alive
        try:
            encoded = core.payload(self.schema_name, payload)
        except BaseException as error:
            # What the guard lets through keeps the host from entering the block, and so from
            # ending the span.
            self._write_start(above, UNREADABLE)
            if not isinstance(error, Exception):
                self.end_with(error)
            raise
        self._write_start(above, encoded)

    def _write_start(self, above: str | None, encoded: bytes) -> None:
        run = self.run
        core, name = run.core, self.id.encode()
        body = (
            b'"agent_instance_id":"%b","id":"%b","parent_span_id":%b,"schema_name":%b,'
            b'"started_at":%b,"payload":%b'
            % (
                run.encoded_id,
                name,
                b"null" if above is None else b'"%b"' % above.encode(),
                core.name(self.schema_name, run.agent),
                quoted(self._begun),
                encoded,
            )
        )
        self._kept = core.write(Operation.CREATE_SPAN, run.encoded_id, name, body)
        # There was no room for it: its children hang from whatever it would have hung from.
        self._anchor = self.id if self._kept else above

    @property
    def anchor(self) -> str | None:
        """The id that children give as their parent."""
        return self._anchor

    def _write_end(
        self, status: Status, finished_at: datetime | None, error: BaseException | None = None
    ) -> None:
        if not self._kept:
            return
        run = self.run
        core = run.core
        ended = core.clock.elapsed() + run.offset
        member = b""
        try:
            if finished_at is not None:
                ended = moment(finished_at, ended)
            member = self._result_member(error)
        finally:
            # Also when the host's own code raises in there what the guard lets through.
            body = quoted(max(ended, self._begun)) + status_member(status) + member
            core.write(Operation.FINISH_SPAN, run.encoded_id, self.id.encode(), body)

    def _result_member(self, error: BaseException | None) -> bytes:
        result, self._result = self._result, None
        if error is not None:
            result = {**_members(result, self.run.core.limit), "error": described(error)}
        if result is None:
            return b""
        return b',"result_payload":' + self.run.core.payload(self.schema_name, result)

    def __repr__(self) -> str:
        return f"<Span {self.schema_name} {self.id or 'not begun'}>"


def status_member(status: str) -> bytes:
    """Return a status as a further member of a JSON object, defaulting to `complete`."""
    member = STATUSES.get(str.__str__(status)) if isinstance(cast("object", status), str) else None
    if member is None:
        expected = ", ".join(STATUSES)
        failures.note(
            "finish", ValueError(f"status must be one of {expected}, got {shown(status)}")
        )
    return member or STATUSES["complete"]


class _Current:
    """Makes a span the current one for a block."""

    __slots__ = ("_entered", "_span")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        self._entered = enter(self._span)
        return self._span

    def __exit__(self, *_: object) -> None:
        leave(self._entered)


def moment(given: datetime, now: int) -> int:
    """A moment that the host names, in nanoseconds; now if it is none: the step counts for more."""
    try:
        return unix_ns(given)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no datetime
        failures.note("time", error)
        return now


def described(error: BaseException) -> dict[str, str]:
    """An exception as the `error` of a result."""
    from prefactor_recorder.encoding.exception_info import message_of, stack_of  # noqa: PLC0415 - only what fails comes here

    return {
        "error_type": type(error).__qualname__,
        "message": message_of(error),
        "stacktrace": stack_of(error, MAX_STACK),
    }


def _members(result: Any, limit: int) -> dict[str, Any]:
    """A result as a dict that `error` can be added to."""
    import orjson  # noqa: PLC0415 - only what fails comes here

    from prefactor_recorder.encoding.values import encode_object  # noqa: PLC0415

    members: dict[str, Any] = orjson.loads(encode_object(result, limit))
    return members
