"""A recorder for tests, with memory in place of spool and delivery."""

from __future__ import annotations

import itertools
import textwrap
import threading
import weakref
from typing import TYPE_CHECKING, Any, cast

from prefactor_recorder.corrections import corrections
from prefactor_recorder.encoding.ids import IdGenerator
from prefactor_recorder.encoding.record import FRAME_SIZE, decode
from prefactor_recorder.guard import failures
from prefactor_recorder.journal.memory import MemoryJournal
from prefactor_recorder.recorder import Recorder
from prefactor_recorder.runtime import Runtime
from prefactor_recorder.sink import Sink
from prefactor_recorder.stats import Stats
from prefactor_recorder.testing.clock import FixedClock
from prefactor_recorder.testing.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prefactor_recorder.run import Run
    from prefactor_recorder.settings import RecorderSettings
    from prefactor_recorder.sink import Redact
    from prefactor_recorder.span_types.registry import SpanTypes
    from prefactor_recorder.testing.records import RecordedRun, RecordedSpan


class InMemoryRecorder(Recorder):
    """A recorder that keeps what it records, for assertions in tests.

    Nesting, failures, encoding, redaction, truncation and span types work as in production.
    Settings other than the arguments below are read from the environment. Ids and times are the
    same in every test run.

    Args:
        agent_id: The default agent of runs.
        clock: The clock. Call its `advance` to let time pass.
        redact: As for `Recorder`.
        on_terminated: As for `Recorder`.
        max_payload_size: As for `Recorder`.
        span_types: As for `Recorder`.
    """

    def __init__(
        self,
        agent_id: str = "test-agent",
        *,
        clock: FixedClock | None = None,
        redact: Redact | None = None,
        on_terminated: Callable[[Run], object] | None = None,
        max_payload_size: int = 1_000_000,
        span_types: Iterable[SpanTypes] = (),
    ) -> None:
        super().__init__(
            "http://in-memory.invalid",
            "no token",
            agent_id=agent_id,
            enabled=True,
            durability="memory",
            max_payload_size=max_payload_size,
            sample_rate=1.0,
            redact=redact,
            on_terminated=on_terminated,
            span_types=span_types,
        )
        self.clock = FixedClock() if clock is None else clock
        """The clock of the recorder."""
        self._memory = _InMemoryRuntime(self.settings, self.clock)

    @property
    def runs(self) -> list[RecordedRun]:
        """The runs so far, in the order they were registered."""
        return list(self._memory.records.runs.values())

    @property
    def spans(self) -> list[RecordedSpan]:
        """The spans of all runs so far, in the order they began."""
        return list(self._memory.records.spans.values())

    def spans_named(self, schema_name: str) -> list[RecordedSpan]:
        """Return the spans of a type, in the order they began."""
        return [span for span in self.spans if span.schema_name == schema_name]

    def span_named(self, schema_name: str) -> RecordedSpan:
        """Return the only span of a type.

        Raises:
            AssertionError: There is no span of the type, or several. The message shows what was
                recorded.
        """
        found = self.spans_named(schema_name)
        if len(found) != 1:
            raise AssertionError(
                f"expected one span {schema_name!r}, found {len(found)} in\n{self._indented_tree()}"
            )
        return found[0]

    def tree(self) -> str:
        """Return what was recorded as text: a line per run and span, indented below its parent."""
        return "\n".join(line for run in self.runs for line in run.lines())

    def assert_tree(self, expected: str) -> None:
        """Compare `tree()` with a text, ignoring the text's common indentation.

        Raises:
            AssertionError: They differ. The message shows both.
        """
        expected = textwrap.dedent(expected).strip()
        if self.tree() != expected:
            shown = textwrap.indent(expected, "    ")
            raise AssertionError(f"recorded:\n{self._indented_tree()}\nexpected:\n{shown}")

    def assert_all_ended(self) -> None:
        """Check that all runs and spans have ended.

        Raises:
            AssertionError: Some have not. The message names them.
        """
        open_ones = [f"run {run.id}" for run in self.runs if run.finished_at is None]
        open_ones += [f"{span.schema_name}" for span in self.spans if span.finished_at is None]
        if open_ones:
            raise AssertionError(f"not ended: {', '.join(open_ones)} in\n{self._indented_tree()}")

    def terminate(self, run: Run, reason: str | None = None) -> None:
        """Act as if the run had been terminated on the server."""
        self._memory.terminated(run.id, reason)

    def clear(self) -> None:
        """Forget everything recorded so far, including open runs and spans."""
        self._memory.records = Records()

    def stats(self) -> Stats:
        """Return the current counters. Everything counts as delivered."""
        return self._memory.stats()

    def _get_runtime(self) -> Runtime | None:
        return None if self._closed else self._memory

    def _indented_tree(self) -> str:
        return textwrap.indent(self.tree() or "(nothing)", "    ")


class _InMemoryRuntime(Runtime):
    """The runtime of a recorder that keeps everything and delivers nothing."""

    def __init__(self, settings: RecorderSettings, clock: FixedClock) -> None:
        self.records = Records()
        # Re-entrant, because garbage collection may close a generator, which ends its span.
        self._lock = threading.RLock()
        self.runs = weakref.WeakValueDictionary()
        self.journal = _InMemoryJournal(self)
        self.delivery = cast("Any", _NoDelivery())
        self.sink = Sink(
            journal=self.journal,
            deliverer=self.delivery,
            clock=clock,
            ids=IdGenerator(bits=_counter_bits()),
            limit=settings.max_payload_size,
            redact=settings.redact,
        )
        self.written = 0

    def add(self, record: bytes) -> None:
        """Add a record."""
        decoded = decode(record[FRAME_SIZE:])
        if decoded is None:
            raise ValueError("only encoded records can be appended")
        with self._lock:
            self.written += 1
            self.records.add(decoded)

    def check_process(self) -> None:
        """Do nothing, so that a forked child continues with its parent's records."""

    def stats(self) -> Stats:
        """Return the current counters. Everything counts as delivered."""
        return Stats(
            delivered=self.written,
            corrected=corrections.count,
            failures=failures.count,
            durability="memory",
        )


class _InMemoryJournal(MemoryJournal):
    """Passes each record to the runtime instead of keeping it for delivery."""

    def __init__(self, runtime: _InMemoryRuntime) -> None:
        super().__init__(0)
        self._runtime = runtime

    def append(self, record: bytes) -> bool:
        """Add a record."""
        self._runtime.add(record)
        return True


class _NoDelivery:
    """Nothing is ever undelivered."""

    idle = False
    """Never, so that no record wakes it."""

    def flush(self, timeout: float | None) -> int:
        del timeout
        return 0

    async def aflush(self, timeout: float | None) -> int:
        del timeout
        return 0


def _counter_bits() -> Callable[[int], int]:
    counter = itertools.count(1)
    return lambda _: next(counter)
