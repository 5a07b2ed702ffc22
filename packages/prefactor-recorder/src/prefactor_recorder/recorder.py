"""The recorder. It starts its runtime with the first run and ends it on `close` or at exit."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self, cast

from prefactor_recorder.corrections import (
    WrongTypeError,
    corrected_name,
    corrections,
    note_unreadable,
    short_repr,
)
from prefactor_recorder.delivery.client_check import require_client
from prefactor_recorder.encoding import ids
from prefactor_recorder.encoding.record import is_id
from prefactor_recorder.errors import ConfigurationError
from prefactor_recorder.guard import failures, guarded, not_interrupts, warn_once
from prefactor_recorder.locks.import_lock import runtime_imports
from prefactor_recorder.registration import registration
from prefactor_recorder.run import Run
from prefactor_recorder.settings import RecorderSettings, resolve
from prefactor_recorder.span_types.declarations import DeclaresSpanTypes
from prefactor_recorder.span_types.registry import SpanTypes, checked_sets
from prefactor_recorder.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from ssl import SSLContext
    from types import TracebackType

    from prefactor_recorder.registration import Registration
    from prefactor_recorder.runtime import Runtime
    from prefactor_recorder.settings import Durability
    from prefactor_recorder.sink import Redact
    from prefactor_recorder.span_types.span_type import SpanType


class Recorder(DeclaresSpanTypes):
    """Records runs of agents and delivers them in the background, each operation exactly once.

    Create one per program and share it between all threads and tasks. Creating it opens and starts
    nothing; the first run does. Recording never raises, blocks, or waits for the network. A
    recorder without URL or token logs this once and records nothing.

    Arguments that are missing are read from their `PREFACTOR_*` variables. `RecorderSettings`
    describes each of them.

    Raises:
        ConfigurationError: A value is invalid, or the installed `prefactor_http` is not the client
            of this release.
    """

    def __init__(
        self,
        api_url: str | None = None,
        api_token: str | None = None,
        *,
        agent_id: str | None = None,
        environment_id: str | None = None,
        enabled: bool | None = None,
        durability: Durability | None = None,
        spool_dir: str | Path | None = None,
        spool_limit: int | None = None,
        memory_limit: int | None = None,
        max_payload_size: int | None = None,
        sample_rate: float | None = None,
        exit_timeout: float | None = None,
        redact: Redact | None = None,
        on_terminated: Callable[[Run], object] | None = None,
        span_types: Iterable[SpanTypes] = (),
        ssl: SSLContext | bool | None = None,
        proxy: str | None = None,
    ) -> None:
        given = {
            name: value for name, value in locals().items() if name not in {"self", "span_types"}
        }
        self.settings: RecorderSettings = resolve(**given)
        """The settings in effect."""
        if self.settings.enabled:
            require_client()
        self.span_types = SpanTypes(span_types)
        """The span types registered with its runs."""
        self._runtime: Runtime | None = None
        self._closed = False
        self._closed_runtime: Runtime | None = None
        # Re-entrant, because a signal handler that records may interrupt its holder.
        self._lock = threading.RLock()
        if self.settings.enabled and self.settings.missing:
            warn_once(
                "missing",
                "Nothing is recorded: %s is not set. Export it, pass it to Recorder(), or set "
                "PREFACTOR_RECORDER_ENABLED=false if this is intended.",
                self.settings.missing,
            )

    def add_span_type(self, span_type: SpanType) -> None:
        """Add a span type, as `span_type` and `trace` do.

        Raises:
            ConfigurationError: The name is already declared differently.
        """
        self.span_types.add_span_type(span_type)

    def include(self, types: SpanTypes) -> None:
        """Add the span types of another set, including those added to it later.

        Raises:
            ConfigurationError: Both declare a name differently.
        """
        self.span_types.include(types)

    def run(
        self,
        agent_id: str | None = None,
        *,
        version: str | Mapping[str, Any] | None = None,
        environment_id: str | None = None,
        purpose: str | None = None,
        external_identifier: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        span_types: Iterable[SpanTypes] = (),
        sampled: bool | None = None,
    ) -> Run:
        """Return a run of an agent, for use as a context manager or with `start()` and `finish()`.

        A text that the API would reject is corrected: numbers become text, empty texts are left
        out, long ones are truncated, and NUL is removed. `stats().corrected` counts corrections.

        Args:
            agent_id: The agent; by default the recorder's. Not needed with a deployment's token.
            version: The agent's version: its identifier, or the fields `name`,
                `external_identifier`, `description` and `runtime_environment`.
            environment_id: The environment; by default the recorder's, else the account's.
            purpose: `live`, `smoke_test` or `eval`; the server's default is `live`.
            external_identifier: The run's identifier in another system, unique per agent.
            metadata: Short texts by key, for example its user, conversation, release or experiment:
                at most 16 keys of 64 characters, with values of 256. See `Run.set_metadata`.
            span_types: Declared for this run, in addition to the recorder's.
            sampled: Whether it is recorded; by default `sample_rate` decides.

        Raises:
            ConfigurationError: An argument has an invalid type, or the purpose is unknown.
        """
        fields = {
            "agent_id": _or_default("agent_id", agent_id, self.settings.agent_id),
            "environment_id": _or_default(
                "environment_id", environment_id, self.settings.environment_id
            ),
            "purpose": purpose,
            "external_identifier": external_identifier,
            "version": version,
            "metadata": metadata,
        }
        described = registration(fields, self._schema_version(checked_sets(span_types)))
        if sampled is not None and type(sampled) is not bool:
            raise ConfigurationError(
                f"sampled must be True, False or None, got {short_repr(sampled)}"
            )
        return self._new_run(described, sampled=sampled) or _unrecorded()

    def attach(self, run_id: str) -> Run:
        """Return a run that another process registered and will end, to record spans in it.

        Pass its id along with the work, as a task's argument or a header. To place the spans below
        a certain span, pass the id of that span as well and use it as `parent=`. Both processes
        need the same `sample_rate`, because the sampling decision depends only on the id.
        """
        return self._attached(run_id) or _unrecorded()

    def flush(self, timeout: float | None = None) -> int:
        """Deliver everything recorded so far, including what dead processes left in the spool.

        Args:
            timeout: Maximum seconds to wait; None waits as long as it takes, even through an
                outage. While delivery is paused (see `stats().paused`), it tries once and returns,
                because a rejected token has to be replaced first.

        Returns:
            The number of undelivered operations.
        """
        runtime = self._get_runtime()
        if runtime is None:
            return self._undelivered
        return runtime.delivery.flush(self._timeout(timeout))

    async def aflush(self, timeout: float | None = None) -> int:
        """Like `flush`, without blocking the event loop."""
        runtime = self._get_runtime()
        if runtime is None:
            return self._undelivered
        return await runtime.delivery.aflush(self._timeout(timeout))

    def close(self, timeout: float | None = None) -> int:
        """Stop recording and deliver what is left. Calling it again is harmless.

        Called at exit if the program has not called it. Undelivered records stay in the spool for
        the next process.

        Args:
            timeout: Maximum seconds to wait; by default `exit_timeout`.

        Returns:
            The number of undelivered operations.
        """
        with self._lock:
            self._closed = True
            self._closed_runtime = runtime = self._runtime or self._closed_runtime
            self._runtime = None
        if runtime is None:
            return 0
        # A second thread that calls `close` waits as well, so that both return when it is done.
        seconds = self._timeout(timeout)
        return runtime.close(self.settings.exit_timeout if seconds is None else seconds)

    async def aclose(self, timeout: float | None = None) -> int:
        """Like `close`, without blocking the event loop."""
        return await asyncio.to_thread(self.close, timeout)

    def stats(self) -> Stats:
        """Return the current counters; after `close`, the final ones."""
        runtime = self._runtime or self._closed_runtime
        if runtime is not None:
            return runtime.stats()
        starts = self.settings.enabled and not self.settings.missing and not self._closed
        return Stats(
            durability="not started" if starts else "off",
            failures=failures.count,
            corrected=corrections.count,
        )

    @property
    def _undelivered(self) -> int:
        """The operations that a closed recorder left undelivered."""
        return 0 if self._closed_runtime is None else self._closed_runtime.journal.undelivered

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"Recorder({self.settings.api_url!r}, durability={self.settings.durability!r})"

    def _timeout(self, given: float | None) -> float | None:
        return None if given is None else _seconds(given, self.settings.exit_timeout)

    @guarded
    def _new_run(self, registered: Registration, *, sampled: bool | None) -> Run | None:
        runtime = self._get_runtime()
        if runtime is None:
            return None
        sink = runtime.sink
        identifier = sink.ids.new_run_id(sink.clock.wall())
        if sampled is None:
            sampled = ids.hash_fraction(identifier) < self.settings.sample_rate
        if not sampled:
            return None
        return runtime.track(Run(sink, identifier, registered, self.settings.on_terminated))

    @guarded
    def _attached(self, run_id: str) -> Run | None:
        runtime = self._get_runtime()
        given = cast("Any", run_id)
        identifier = str.__str__(given) if issubclass(type(given), str) else None
        if runtime is None or given is None or identifier == "":
            return None
        if identifier is None or not is_id(identifier):
            raise ValueError(f"run_id: {short_repr(run_id)} is not an id")
        if ids.hash_fraction(identifier) >= self.settings.sample_rate:
            return None
        return runtime.track(Run(runtime.sink, identifier, None, self.settings.on_terminated))

    @guarded
    def _schema_version(self, more: tuple[SpanTypes, ...]) -> bytes | None:
        """Return a run's span types as the `agent_schema_version` of its registration."""
        if more:
            try:
                return SpanTypes((self.span_types, *more)).schema_version()
            except ConfigurationError as error:  # record the run without these span types
                failures.note("run", error)
        return self.span_types.schema_version()

    @guarded
    def _get_runtime(self) -> Runtime | None:
        """Return the runtime, creating it at the first call; None if nothing is recorded."""
        runtime = self._runtime
        if runtime is not None:
            runtime.check_process()
            return runtime
        if self._closed or not self.settings.enabled or self.settings.missing:
            return None
        with runtime_imports, self._lock:
            # Not at import, because many programs never record, or only print their --help.
            from prefactor_recorder.runtime import close_at_exit, new_runtime  # noqa: PLC0415

            if self._runtime is None and not self._closed:
                self._runtime = new_runtime(self.settings)
                close_at_exit(self._runtime, self.settings.exit_timeout)
            return self._runtime


def _unrecorded() -> Run:
    return Run(None, "", None, None)


def _or_default(field: str, given: str | None, default: str | None) -> str | None:
    """Return an id, or the recorder's if nothing would be left of it once it is corrected."""
    if given is None:
        return default
    try:
        return given if corrected_name(given).text else default
    except WrongTypeError:
        return given  # refused with the other fields
    except not_interrupts() as error:  # a number of the host
        note_unreadable(field, given, default, error)
        return default


def _seconds(timeout: float, default: float) -> float:
    """Return a timeout that clocks and locks accept; the default if it is not a number."""
    try:
        seconds = float(timeout)
        if seconds == seconds:  # noqa: PLR0124 - false for NaN
            return min(seconds, threading.TIMEOUT_MAX)
    except not_interrupts():
        pass
    failures.note("timeout", ValueError(f"must be seconds, got {short_repr(timeout)}"))
    return default
