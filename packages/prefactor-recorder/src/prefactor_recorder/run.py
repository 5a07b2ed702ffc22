"""One run of an agent: registered and started when it begins, ended when its block is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

from prefactor_recorder.context import Block, enter, innermost, leave
from prefactor_recorder.corrections import short_repr
from prefactor_recorder.encoding.clock import json_timestamp
from prefactor_recorder.encoding.record import Operation, is_id
from prefactor_recorder.encoding.values import encode
from prefactor_recorder.errors import RunTerminated
from prefactor_recorder.guard import failures, guarded, not_interrupts
from prefactor_recorder.metadata import corrected_metadata
from prefactor_recorder.outcome import given_time, is_cancellation, status_member
from prefactor_recorder.span import Recording, Root, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from types import TracebackType

    from prefactor_recorder.context import Entered
    from prefactor_recorder.outcome import Status
    from prefactor_recorder.registration import Registration
    from prefactor_recorder.sink import Sink


class Run(Block):
    """One run of an agent. Made by `recorder.run`, or by `recorder.attach` for one that exists.

    Use it as a context manager (`with` or `async with`), or call `start()` and `finish()`. If the
    block raises, the run ends as failed; if the block is cancelled, as cancelled. The exception is
    re-raised.
    """

    def __init__(
        self,
        sink: Sink | None,
        identifier: str,
        registration: Registration | None,
        on_terminated: Callable[[Run], object] | None,
    ) -> None:
        """Prepare a run.

        Args:
            sink: Where to write; None records nothing.
            identifier: Its id.
            registration: Its registration; None for a run that another process registered and will
                end.
            on_terminated: Called once instead of raising `RunTerminated`.
        """
        self.id = identifier
        """Its id, known before the server knows the run; empty if it is not recorded."""
        self.live = sink is not None
        """Whether it is recorded: the recorder is on, and the run was sampled."""
        self.agent = None if registration is None else registration.agent
        """The agent as the log names it; None if unknown."""
        self.recording = None if sink is None else Recording(sink, identifier, self.agent)
        """What its spans share; None if they are not recorded."""
        self.termination: tuple[str | None] | None = None
        """The reason given, once the server has reported that the run was terminated."""
        self._encoded_id = identifier.encode()
        self._registration = registration
        self._on_terminated = on_terminated
        self._reported = self._started = self._finished = self._recorded = False
        self._entered: Entered | None = None
        self._metadata_keys = set(() if registration is None else registration.metadata_keys)
        self._unwritten_metadata: dict[str, str | None] = {}

    @property
    def sink(self) -> Sink:
        """The sink to write to.

        Raises:
            RuntimeError: The run is not recorded; check `live` first.
        """
        return self._recording.sink

    @property
    def _recording(self) -> Recording:
        if self.recording is None:
            raise RuntimeError("this run is not recorded")
        return self.recording

    @property
    def terminated(self) -> bool:
        """Whether the server has reported that the run was terminated."""
        return self.termination is not None

    @property
    def termination_reason(self) -> str | None:
        """The reason given for the termination, if any."""
        return None if self.termination is None else self.termination[0]

    @guarded
    def start(self) -> None:
        """Register and start the run. Does nothing when called again."""
        if self._started or self.recording is None:
            return
        self._started = True
        if self._registration is None:
            self._recorded = True  # by another process
            self._write_metadata()
            return
        name, sink = self._encoded_id, self.sink
        now = json_timestamp(self.recording.now()).encode()
        body = b'"id":"%b"%b' % (name, self._registration.members)
        self._recorded = sink.write(Operation.REGISTER, name, name, body)
        if self._recorded:
            # Repeat the description in case the disk damages the record above.
            body = b'"timestamp":' + now + self._registration.run
            sink.write(Operation.START, name, name, body)
            self._write_metadata()
        else:
            self.live = False  # the server would reject its spans

    @guarded
    def finish(self, status: Status = "complete", *, finished_at: datetime | None = None) -> None:
        """Record that the run has ended. Does nothing when called again.

        Spans that end later are still recorded.

        Args:
            status: How it ended.
            finished_at: When, if not now.
        """
        if self._finished or not self._recorded or self._registration is None:
            return
        self._finished = True
        ended = self._recording.now()
        try:
            if finished_at is not None:
                ended = given_time(finished_at, ended)
        finally:
            body = f'"timestamp":{json_timestamp(ended)}{status_member(status)}'.encode()
            self.sink.write(Operation.FINISH, self._encoded_id, self._encoded_id, body)

    @guarded
    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Set keys of the run's metadata; keys that are not named stay.

        May be called at any time, also after the end of the run. What the API would reject is
        corrected and counted in `stats().corrected`: numbers become text, long texts are
        truncated, and keys beyond 16 are left out.

        Args:
            metadata: Texts by key; None removes the key.
        """
        if self.recording is None:
            return
        changes = corrected_metadata(metadata, self.agent, self._metadata_keys)
        for key, text in changes.items():
            if text is None:
                self._metadata_keys.discard(key)
            else:
                self._metadata_keys.add(key)
        self._unwritten_metadata |= changes
        if self._recorded:
            self._write_metadata()

    def _write_metadata(self) -> None:
        changes, self._unwritten_metadata = self._unwritten_metadata, {}
        if changes:
            sink = self.sink
            identifier = sink.ids.new_id(sink.clock.wall(), self._recording.partition).encode()
            body = b'"metadata":' + encode(changes)
            sink.write(Operation.SET_METADATA, self._encoded_id, identifier, body)

    def span(
        self,
        schema_name: str,
        payload: Mapping[str, Any] | Any = None,
        *,
        parent: Span | str | Root | None = None,
    ) -> Span:
        """Return a span that begins when its block is entered.

        Args:
            schema_name: The span type; it need not be declared.
            payload: The input: a mapping, a model or a dataclass; anything else is recorded as
                `{"value": …}`. It is read when the block is entered.
            parent: The parent, as a span or an id; `ROOT` for no parent. By default the current
                span.
        """
        return Span(self, schema_name, payload, parent)

    def start_span(
        self,
        schema_name: str,
        payload: Mapping[str, Any] | Any = None,
        *,
        parent: Span | str | Root | None = None,
        started_at: datetime | None = None,
    ) -> Span:
        """Return a span that has begun, to be ended with `finish`, `fail` or `cancel`.

        For code that cannot use a block, such as callbacks. It does not become the current span;
        see `Span.current`.

        Args:
            schema_name: As for `span`.
            payload: As for `span`.
            parent: As for `span`.
            started_at: When it began, if not now.

        Raises:
            RunTerminated: The run has been terminated.
        """
        span = Span(self, schema_name, payload, parent)
        if self.live:
            if self.termination is not None:
                self.report_termination()
            span.begin(started_at)
        return span

    def resolve_parent(self, parent: Span | str | Root | None) -> str | None:
        """Return the id to record as the parent of a span that begins now. Never raises."""
        try:
            return self._parent_id(parent)
        except not_interrupts() as error:  # a `__class__` of the host
            failures.note("span", error)
            return None

    def _parent_id(self, parent: Span | str | Root | None) -> str | None:
        if parent is None:
            current = innermost()
            if not isinstance(current, Span):
                return None
            parent = current
        if isinstance(parent, Span):
            # A span of another run (one agent calls another) cannot be a parent in this one.
            return parent.id_for_children if parent.run.id == self.id else None
        if isinstance(parent, str) and is_id(parent):
            return str.__str__(parent)
        if not isinstance(parent, Root | Run):
            failures.note(
                "span", ValueError(f"parent must be the id of a span, got {short_repr(parent)}")
            )
        return None

    def report_termination(self) -> None:
        """Report the termination once to the callback, or raise if there is none.

        Raises:
            RunTerminated: There is no callback.
        """
        if self._on_terminated is None:
            raise RunTerminated(self.id, self.termination_reason)
        if not self._reported:
            self._reported = True
            _call(self._on_terminated, self)

    def mark_terminated(self, reason: str | None) -> None:
        """Note that the server reports the run as terminated. Called by the delivery thread."""
        self.termination = self.termination or (reason,)

    def __enter__(self) -> Self:
        self.start()
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
            self.finish("cancelled" if is_cancellation(error) else "failed")

    @property
    def open(self) -> bool:
        """Whether it has started and not ended in this process."""
        return self._started and not self._finished

    def __repr__(self) -> str:
        return f"<Run {self.id or 'not recorded'}>"


@guarded
def _call(callback: Callable[[Run], object], run: Run) -> None:
    callback(run)


def current_run() -> Run | None:
    """Return the run that the calling code belongs to, or None outside every run."""
    current = innermost()
    if isinstance(current, Span):
        return cast("Run", current.run)
    return cast("Run | None", current)


def current_span() -> Span | None:
    """Return the innermost span open around the calling code, or None outside every span."""
    current = innermost()
    return current if isinstance(current, Span) else None
