"""The server's Prometheus metrics.

These methods run on the event loop, once per request or per batch. Gauges (the queue, the memory)
are read only on collection.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence, Sized
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from prefactor_server.api.asgi.request_events import RequestEvent
from prefactor_server.api.events.hub import EventHub
from prefactor_server.commands.base import Done, Outcome, Refused, Submission
from prefactor_server.commands.runs.heartbeat_buffer import HeartbeatBuffer
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.times import SECOND_US
from prefactor_server.follower import Follower
from prefactor_server.follower.webhooks import WebhookSender
from prefactor_server.http.memory_budget import MemoryBudget
from prefactor_server.http.unlocked_metrics import UnlockedCounter, UnlockedHistogram
from prefactor_server.otlp.memory import OtlpMemory
from prefactor_server.storage.standby import StandbyUse

_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_COMMIT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
_BATCH_COMMANDS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)


class Metrics:
    """The metrics of one server.

    Labels are names of operations, statuses and codes. They contain no ids and nothing that a
    client can choose, so their number is bounded.
    """

    def __init__(self, registry: CollectorRegistry, *, version: str) -> None:
        self._registry = registry
        self._requests = UnlockedCounter(
            "prefactor_requests",
            "Answered requests, by operation (empty if the path is unknown) and HTTP status.",
            ("operation", "status"),
            registry=registry,
        )
        self._refusals = UnlockedCounter(
            "prefactor_refusals",
            "Rejected requests, by the error code in the response.",
            ("code",),
            registry=registry,
        )
        self._commands = UnlockedCounter(
            "prefactor_commands",
            "Decided writes, counting each item of a bulk request, by operation and outcome: "
            "done, replayed, stale (prepared again), or the code of an error.",
            ("operation", "outcome"),
            registry=registry,
        )
        self._request_seconds = UnlockedHistogram(
            "prefactor_request_seconds",
            "Time from the first byte of a request to its response, by operation.",
            _REQUEST_SECONDS,
            ("operation",),
            registry=registry,
        )
        self._batch_commands = UnlockedHistogram(
            "prefactor_batch_commands", "Writes per commit.", _BATCH_COMMANDS, registry=registry
        )
        self._commit_seconds = UnlockedHistogram(
            "prefactor_commit_seconds",
            "Time to load, decide, write and commit one batch.",
            _COMMIT_SECONDS,
            registry=registry,
        )
        self._failed_batches = UnlockedCounter(
            "prefactor_failed_batches", "Batches that could not be written.", registry=registry
        )
        self._event_messages = UnlockedCounter(
            "prefactor_event_messages",
            "Messages sent to event streams, including heartbeats.",
            registry=registry,
        )
        self._event_reloads = UnlockedCounter(
            "prefactor_event_reloads",
            "Messages to event streams that asked the client to read everything again.",
            registry=registry,
        )
        info = Gauge(
            "prefactor_server_info", "Always 1.", labelnames=("version",), registry=registry
        )
        info.labels(version).set(1)
        ProcessCollector(registry=registry)

    def watch_writer(self, writer: Writer) -> None:
        """Expose the size of a writer's queue."""
        Gauge(
            "prefactor_queue_bytes",
            "Bytes of requests whose batch is not committed; max_queue_bytes limits them.",
            registry=self._registry,
        ).set_function(lambda: writer.queued_bytes)
        Gauge(
            "prefactor_queue_requests",
            "Requests that wait for their batch to begin.",
            registry=self._registry,
        ).set_function(lambda: writer.queued_requests)

    def watch_load(self, budget: MemoryBudget, connections: Sized) -> None:
        """Expose the bytes that requests hold, and the number of open connections."""
        Gauge(
            "prefactor_buffered_bytes",
            "Bytes of requests and responses in memory; max_buffered_bytes limits them.",
            registry=self._registry,
        ).set_function(lambda: budget.held)
        Gauge(
            "prefactor_connections",
            "Open connections; max_connections limits them.",
            registry=self._registry,
        ).set_function(lambda: len(connections))

    def watch_events(self, hub: EventHub) -> None:
        """Expose the open event streams, and count the messages to them."""
        Gauge(
            "prefactor_event_streams",
            "Open event streams; max_event_streams limits them.",
            registry=self._registry,
        ).set_function(lambda: hub.streams)
        hub.observer = self

    def message_sent(self) -> None:
        """See ``EventObserver.message_sent``."""
        self._event_messages.add()

    def reload_sent(self) -> None:
        """See ``EventObserver.reload_sent``."""
        self._event_reloads.add()

    def watch_otlp(self, memory: OtlpMemory) -> None:
        """Expose the spans received by OTLP, by result."""
        self._registry.register(_OtlpSpans(memory))

    def watch_heartbeats(self, buffer: HeartbeatBuffer) -> None:
        """Expose the number of heartbeats of runs."""
        self._registry.register(_Heartbeats(buffer))

    def watch_follower(self, follower: Follower) -> None:
        """Expose the lag of each consumer of the change feed."""
        self._registry.register(_FollowerLag(follower))

    def watch_webhooks(self, sender: WebhookSender) -> None:
        """Expose attempted and pending webhook deliveries."""
        self._registry.register(_Webhooks(sender))

    def watch_standby(self, use: StandbyUse | None) -> None:
        """Expose the reads from the standby and its state, if there is one."""
        if use is not None:
            self._registry.register(_Standby(use))

    def answered(self, event: RequestEvent) -> None:
        """Count a request."""
        self._requests.add(event.operation, str(event.status))
        self._request_seconds.add(event.seconds, event.operation)
        if event.code:
            self._refusals.add(event.code)

    def timer(self) -> float:
        """See ``WriteObserver.timer``."""
        return time.perf_counter()

    def committed(
        self,
        submissions: Sequence[Submission],
        outcomes: Sequence[Sequence[Outcome]],
        seconds: float,
    ) -> None:
        """See ``WriteObserver.committed``."""
        tally: dict[tuple[str, str], int] = {}
        total = 0
        for submission, results in zip(submissions, outcomes, strict=True):
            total += len(results)
            for command, outcome in zip(submission.commands, results, strict=False):
                key = (command.operation, _outcome_label(outcome))
                tally[key] = tally.get(key, 0) + 1
        for key, number in tally.items():
            self._commands.add(*key, by=number)
        self._batch_commands.add(total)
        self._commit_seconds.add(seconds)

    def failed(self) -> None:
        """See ``WriteObserver.failed``."""
        self._failed_batches.add()

    def render(self) -> tuple[str, bytes]:
        """Return the content type and the current metrics in the text format."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)


def _outcome_label(outcome: Outcome) -> str:
    if isinstance(outcome, Done):
        return "replayed" if outcome.replayed else "done"
    return outcome.refusal.code if isinstance(outcome, Refused) else "stale"


class _OtlpSpans(Collector):
    """Spans received by OTLP, by result, counted where the result is decided."""

    def __init__(self, memory: OtlpMemory) -> None:
        self._memory = memory

    def collect(self) -> Iterator[CounterMetricFamily]:
        spans = CounterMetricFamily(
            "prefactor_otlp_spans",
            "Spans received by OTLP, by result.",
            labels=("outcome",),
        )
        for outcome in ("kept", "noise", "rejected"):
            spans.add_metric((outcome,), self._memory.spans[outcome])
        yield spans


class _Webhooks(Collector):
    """Attempted webhook deliveries by result, and pending deliveries."""

    def __init__(self, sender: WebhookSender) -> None:
        self._sender = sender

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        attempts = CounterMetricFamily(
            "prefactor_webhook_attempts",
            "Attempts of this server to send a webhook delivery, by result.",
            labels=("outcome",),
        )
        attempts.add_metric(("delivered",), self._sender.delivered)
        attempts.add_metric(("failed",), self._sender.failed)
        yield attempts
        yield GaugeMetricFamily(
            "prefactor_webhook_deliveries_pending",
            "Pending webhook deliveries, on the server that sends them; counted up to 10000.",
            value=self._sender.pending,
        )


class _Heartbeats(Collector):
    """Heartbeats of active runs, counted where they arrive."""

    def __init__(self, buffer: HeartbeatBuffer) -> None:
        self._buffer = buffer

    def collect(self) -> Iterator[CounterMetricFamily]:
        heartbeats = CounterMetricFamily(
            "prefactor_heartbeats", "Heartbeats of active runs, counting each run."
        )
        heartbeats.add_metric((), self._buffer.received)
        yield heartbeats


class _Standby(Collector):
    """The state of the standby, and the reads that may use it, by where they ran."""

    def __init__(self, use: StandbyUse) -> None:
        self._use = use

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        reads = CounterMetricFamily(
            "prefactor_standby_reads",
            "Reads that may use the standby, by outcome: standby, or on the primary because the "
            "standby was behind the caller, the read failed on it, or it was unusable.",
            labels=("outcome",),
        )
        for outcome, number in self._use.reads.items():
            reads.add_metric((outcome,), number)
        yield reads
        yield GaugeMetricFamily(
            "prefactor_standby_usable",
            "1 while the standby is usable; 0 while it is unreachable, too far behind, or not a "
            "standby of the database.",
            value=float(self._use.usable),
        )
        yield GaugeMetricFamily(
            "prefactor_standby_lag_seconds",
            "How far the standby was behind the primary at the last check.",
            value=self._use.lag_seconds,
        )


class _FollowerLag(Collector):
    """The lag of each consumer. It is unknown until the follower has read the feed."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def collect(self) -> Iterator[GaugeMetricFamily]:
        positions = GaugeMetricFamily(
            "prefactor_follower_lag_positions",
            "How far derived rows are behind the last commit, in positions of the change feed, "
            "by consumer.",
            labels=("consumer",),
        )
        seconds = GaugeMetricFamily(
            "prefactor_follower_lag_seconds",
            "Age of the oldest commit that a consumer has not processed, by consumer.",
            labels=("consumer",),
        )
        for name, lag in self._follower.lags.items():
            positions.add_metric((name,), lag.positions)
            waited = 0.0 if lag.since is None else time.time() - lag.since / SECOND_US
            seconds.add_metric((name,), max(waited, 0.0))
        yield positions
        yield seconds
