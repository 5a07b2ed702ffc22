"""Tracks steps of libraries that report when a step begins and when it ends.

Such libraries have their own ids for a step and its parent, call from any thread or task, and do
not always report the end.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from prefactor_recorder.context import innermost
from prefactor_recorder.guard import failures, not_interrupts, warn_once
from prefactor_recorder.outcome import is_cancellation
from prefactor_recorder.run import current_run
from prefactor_recorder.span import ROOT, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from prefactor_recorder.outcome import Status
    from prefactor_recorder.recorder import Recorder
    from prefactor_recorder.run import Run
    from prefactor_recorder.span import Root, RunLike
    from prefactor_recorder.span_types.registry import SpanTypes

MAX_OPEN = 10_000
"""Maximum number of open steps. Beyond it, the step that has been idle longest is evicted."""


class Step:
    """A step that has begun and not ended.

    Args:
        key: The library's id of it.
        parent: The step that it began in, if any.
        span: Its span.
        own_run: The run opened for it, which ends with it; None inside another run.
        is_alias: Whether the span is its parent's, and stays open when this step ends.
    """

    __slots__ = (
        "current_at_start",
        "earlier",
        "is_alias",
        "key",
        "notes",
        "own_run",
        "parent",
        "span",
    )

    def __init__(
        self,
        key: object,
        parent: Step | None,
        span: Span,
        own_run: Run | None = None,
        *,
        is_alias: bool = False,
    ) -> None:
        self.key = key
        # The step itself, because a host may use an id twice, which makes ids refer in circles.
        self.parent = parent
        self.earlier: Step | None = None
        """The step with the same id that was open when this one began."""
        self.is_alias = is_alias
        self.span = span
        self.own_run = own_run
        self.current_at_start = innermost()
        """The current run or span when it began."""
        self.notes: dict[str, Any] = {}
        """State that an integration keeps until the end."""

    @property
    def recorded(self) -> bool:
        """Whether it is recorded. If not, its result need not be computed."""
        return self.span.run.live

    def with_its_id(self) -> Iterator[Step]:
        """Yield this step and the earlier ones with the same id."""
        step: Step | None = self
        while step is not None:
            yield step
            step = step.earlier

    def parent_for_child(self) -> Span:
        """Return the parent of a step that begins inside this one.

        Usually this step's span. If the host's code, called by the library, opened a span and calls
        the library inside that, it is the host's span.
        """
        here = innermost()
        if (
            isinstance(here, Span)
            and here is not self.current_at_start
            and here.run is self.span.run
        ):
            return here
        return self.span


class OpenSteps:
    """The open steps of one library.

    Args:
        recorder: Opens a run for a step that begins outside a run. None does not record such steps.
        agent_id: The agent of these runs.
        version: The agent's version.
        types: Span types to declare for all later runs of the recorder.
    """

    def __init__(
        self,
        recorder: Recorder | None,
        *,
        agent_id: str | None,
        version: str | Mapping[str, Any] | None,
        types: SpanTypes,
    ) -> None:
        if recorder is not None:
            recorder.include(types)
        self._recorder = recorder
        self._agent_id = agent_id
        self._version = version
        self._open: OrderedDict[object, Step] = OrderedDict()
        self._count = 0
        # Re-entrant, because garbage collection may close a generator, which ends its step.
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return self._count

    def get(self, key: object) -> Step | None:
        """Return the open step with this id, or None."""
        return self._open.get(key)

    def is_descendant(self, key: object, parent_key: object) -> bool:
        """Whether a step is open and, if `parent_key` is open too, a descendant of that."""
        step = self._open.get(key)
        if parent_key not in self._open:
            return step is not None
        while step is not None and (step.parent is None or step.parent.key != parent_key):
            step = step.parent
        return step is not None

    def open(
        self,
        key: object,
        parent_key: object,
        schema_name: str,
        payload: Callable[[], Mapping[str, Any]],
        *,
        started_at: datetime | None = None,
    ) -> Step | None:
        """Begin a step. Return None if it belongs to no run.

        Args:
            key: The library's id of the step.
            parent_key: The library's id of its parent, if any.
            schema_name: The span type.
            payload: Returns the payload. Called only if the step is recorded.
            started_at: When it began, if not now.

        Raises:
            RunTerminated: The run has been terminated.
        """
        parent, own_run = self._open.get(parent_key), None
        place: Span | Root | None = None
        if parent is not None:
            place = parent.parent_for_child()
            run: RunLike | None = place.run
        else:
            run = current_run()
        if run is None:
            place, run = ROOT, (own_run := self._new_run())
        if run is None:
            return None
        made = _safe_payload(payload, run)
        span = run.start_span(schema_name, made, parent=place, started_at=started_at)
        return self._add(Step(key, parent, span, own_run))

    def alias(self, key: object, parent_key: object) -> None:
        """Treat children of `key` as children of an open step, until `key` is closed."""
        parent = self._open.get(parent_key)
        if parent is not None:
            self._add(Step(key, parent, parent.parent_for_child(), is_alias=True))

    def close(
        self,
        key: object,
        result: Callable[[Step], Mapping[str, Any]] | None = None,
        *,
        status: Status = "complete",
        error: BaseException | None = None,
        finished_at: datetime | None = None,
    ) -> None:
        """End a step and the run opened for it. Does nothing if the step is not open.

        Args:
            key: The library's id of the step.
            result: Returns the result. Called only if the step is recorded.
            status: How it ended; ignored with an error.
            error: The exception it ended with.
            finished_at: When it ended, if not now.
        """
        with self._lock:
            step = self._open.pop(key, None)
            if step is None:
                return
            self._count -= 1
            if step.earlier is not None:
                self._open[key] = step.earlier
        _end(step, result, status=status, error=error, finished_at=finished_at)

    def _new_run(self) -> Run | None:
        if self._recorder is None:
            warn_once(
                "outside",
                "A call was not recorded, because it was made outside a run. Make it inside "
                "`with recorder.run(...)`, or pass a recorder to the integration.",
            )
            return None
        run = self._recorder.run(self._agent_id, version=self._version)
        run.start()
        return run

    def _add(self, step: Step) -> Step:
        evicted: list[Step] = []
        with self._lock:
            step.earlier = self._open.pop(step.key, None)
            self._open[step.key] = step
            self._count += 1
            # All ancestors of a new step are in use.
            parent = step.parent
            while parent is not None and parent.key in self._open:
                self._open.move_to_end(parent.key)
                parent = parent.parent
            if self._count > MAX_OPEN:
                _, idle = self._open.popitem(last=False)
                evicted = list(idle.with_its_id())
                self._count -= len(evicted)
        for each in evicted:
            _end(each, _unfinished_result, status="cancelled")
        return step


def _safe_payload(
    payload: Callable[[], Mapping[str, Any]], run: RunLike
) -> Mapping[str, Any] | None:
    """Return the payload, or None if that fails, because the step may have children."""
    try:
        return payload() if run.live else None
    except not_interrupts() as error:  # it reads objects of the host
        failures.note("payload", error)
        return None


def _safe_result(
    result: Callable[[Step], Mapping[str, Any]], step: Step
) -> Mapping[str, Any] | None:
    """Return the result, or None if that fails."""
    try:
        return result(step)
    except not_interrupts() as error:  # as above
        failures.note("result", error)
        return None


def _unfinished_result(_: Step) -> Mapping[str, Any]:
    return {"unfinished": "its end was never reported"}


def _end(
    step: Step,
    result: Callable[[Step], Mapping[str, Any]] | None,
    *,
    status: Status = "complete",
    error: BaseException | None = None,
    finished_at: datetime | None = None,
) -> None:
    """Record the end of a step that is no longer in `OpenSteps`."""
    if step.is_alias:
        return
    made = None if result is None or not step.recorded else _safe_result(result, step)
    if error is None:
        step.span.finish(made, status=status, finished_at=finished_at)
    else:
        if made:
            step.span.set_result(made)
        step.span.end_with(error)
        status = "cancelled" if is_cancellation(error) else "failed"
    if step.own_run is not None:
        step.own_run.finish(status, finished_at=finished_at)
