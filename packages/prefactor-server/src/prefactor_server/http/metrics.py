"""The server's Prometheus metrics.

These methods run once per request or per batch on the event loop, so the labelled children of each
metric are cached in a dictionary. Gauges that can be read at any time (the queue, the memory) are
read on collection, and cost nothing before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence, Sized
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
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
from prefactor_server.follower import Follower
from prefactor_server.follower.webhooks import WebhookSender
from prefactor_server.memory_budget import MemoryBudget
from prefactor_server.otlp.memory import OtlpMemory

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
        self._requests = _LabelledCounter(
            Counter(
                "prefactor_requests",
                "Requests answered, by operation (empty: no such path) and HTTP status.",
                ("operation", "status"),
                registry=registry,
            )
        )
        self._refusals = _LabelledCounter(
            Counter(
                "prefactor_refusals",
                "Requests refused, by the code in their answer.",
                ("code",),
                registry=registry,
            )
        )
        self._commands = _LabelledCounter(
            Counter(
                "prefactor_commands",
                "Writes decided, items of bulk requests one by one, by operation and outcome: "
                "done, replayed, stale (prepared anew), or the code of a refusal.",
                ("operation", "outcome"),
                registry=registry,
            )
        )
        self._request_seconds = _LabelledHistogram(
            Histogram(
                "prefactor_request_seconds",
                "From the first byte of a request to its answer, by operation.",
                ("operation",),
                buckets=_REQUEST_SECONDS,
                registry=registry,
            )
        )
        self._batch_commands = Histogram(
            "prefactor_batch_commands",
            "Writes in one commit.",
            buckets=_BATCH_COMMANDS,
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "prefactor_commit_seconds",
            "Loading, deciding, writing and committing one batch.",
            buckets=_COMMIT_SECONDS,
            registry=registry,
        )
        self._failed_batches = Counter(
            "prefactor_failed_batches",
            "Batches that could not be written.",
            registry=registry,
        )
        self._event_messages = Counter(
            "prefactor_event_messages",
            "Messages that were sent to event streams, heartbeats counted.",
            registry=registry,
        )
        self._event_reloads = Counter(
            "prefactor_event_reloads",
            "Times that an event stream told its client to read everything again.",
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
            "Bytes of requests whose batch is not committed; max_queue_bytes bounds them.",
            registry=self._registry,
        ).set_function(lambda: writer.queued_bytes)
        Gauge(
            "prefactor_queue_requests",
            "Requests that wait for their batch to begin.",
            registry=self._registry,
        ).set_function(lambda: writer.queued_requests)

    def watch_connections(self, connections: Sized) -> None:
        """Expose the number of open connections."""
        Gauge(
            "prefactor_connections",
            "Connections that are open; max_connections bounds them.",
            registry=self._registry,
        ).set_function(lambda: len(connections))

    def watch_memory(self, budget: MemoryBudget) -> None:
        """Expose the bytes that requests hold."""
        Gauge(
            "prefactor_buffered_bytes",
            "Bytes of requests and answers that are held; max_buffered_bytes bounds them.",
            registry=self._registry,
        ).set_function(lambda: budget.held)

    def watch_events(self, hub: EventHub) -> None:
        """Expose the open event streams, and count what they are sent."""
        Gauge(
            "prefactor_event_streams",
            "Event streams that are open; max_event_streams bounds them.",
            registry=self._registry,
        ).set_function(lambda: hub.streams)
        hub.observer = self

    def message_sent(self) -> None:
        """See ``EventObserver.message_sent``."""
        self._event_messages.inc()

    def reload_sent(self) -> None:
        """See ``EventObserver.reload_sent``."""
        self._event_reloads.inc()

    def watch_otlp(self, memory: OtlpMemory) -> None:
        """Expose what became of the spans that came by OTLP."""
        self._registry.register(_OtlpSpans(memory))

    def watch_heartbeats(self, buffer: HeartbeatBuffer) -> None:
        """Expose how many heartbeats of runs came."""
        self._registry.register(_Heartbeats(buffer))

    def watch_follower(self, follower: Follower) -> None:
        """Expose how far behind the change feed each consumer is."""
        self._registry.register(_FollowerLag(follower))

    def watch_webhooks(self, sender: WebhookSender) -> None:
        """Expose what is sent to webhooks, and what waits."""
        self._registry.register(_Webhooks(sender))

    def answered(self, answered: RequestEvent) -> None:
        """Count a request."""
        self._requests.add(answered.operation, str(answered.status))
        self._request_seconds.add(answered.operation, answered.seconds)
        if answered.code:
            self._refusals.add(answered.code)

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
        self._batch_commands.observe(total)
        self._commit_seconds.observe(seconds)

    def failed(self) -> None:
        """See ``WriteObserver.failed``."""
        self._failed_batches.inc()

    def render(self) -> tuple[str, bytes]:
        """Return the content type and the current metrics in the text format."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)


def _outcome_label(outcome: Outcome) -> str:
    if isinstance(outcome, Done):
        return "replayed" if outcome.replayed else "done"
    return outcome.refusal.code if isinstance(outcome, Refused) else "stale"


class _OtlpSpans(Collector):
    """Received spans by what became of them, which is counted where it is decided."""

    def __init__(self, memory: OtlpMemory) -> None:
        self._memory = memory

    def collect(self) -> Iterator[CounterMetricFamily]:
        spans = CounterMetricFamily(
            "prefactor_otlp_spans",
            "Spans that came by OTLP, by what became of them.",
            labels=("outcome",),
        )
        for outcome in ("kept", "noise", "rejected"):
            spans.add_metric((outcome,), self._memory.spans[outcome])
        yield spans


class _Webhooks(Collector):
    """Attempts to deliver to webhooks, by what came of them, and what is to be delivered."""

    def __init__(self, sender: WebhookSender) -> None:
        self._sender = sender

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        attempts = CounterMetricFamily(
            "prefactor_webhook_attempts",
            "Attempts of this server to send a delivery to a webhook, by what came of them.",
            labels=("outcome",),
        )
        attempts.add_metric(("delivered",), self._sender.delivered)
        attempts.add_metric(("failed",), self._sender.failed)
        yield attempts
        yield GaugeMetricFamily(
            "prefactor_webhook_deliveries_pending",
            "Deliveries to webhooks that wait, as seen by the server that sends; counted to 10000.",
            value=self._sender.pending,
        )


class _Heartbeats(Collector):
    """Heartbeats of active runs, which are counted where they come."""

    def __init__(self, buffer: HeartbeatBuffer) -> None:
        self._buffer = buffer

    def collect(self) -> Iterator[CounterMetricFamily]:
        heartbeats = CounterMetricFamily(
            "prefactor_heartbeats", "Heartbeats of active runs, run by run."
        )
        heartbeats.add_metric((), self._buffer.received)
        yield heartbeats


class _FollowerLag(Collector):
    """How far behind each consumer is; they are known only once the follower has looked."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def collect(self) -> Iterator[GaugeMetricFamily]:
        positions = GaugeMetricFamily(
            "prefactor_follower_lag_positions",
            "How far what is derived from runs is behind the last commit, in positions of the "
            "change feed, by consumer.",
            labels=("consumer",),
        )
        seconds = GaugeMetricFamily(
            "prefactor_follower_lag_seconds",
            "For how long the first commit has waited that a consumer has not seen.",
            labels=("consumer",),
        )
        for name, lag in self._follower.lags.items():
            positions.add_metric((name,), lag.positions)
            waited = 0.0 if lag.since is None else time.time() - lag.since / 1e6
            seconds.add_metric((name,), max(waited, 0.0))
        yield positions
        yield seconds


class _LabelledCounter:
    """A counter with a cache of its labelled children."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._children: dict[tuple[str, ...], Counter] = {}

    def add(self, *labels: str, by: int = 1) -> None:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._counter.labels(*labels)
        child.inc(by)


class _LabelledHistogram:
    """A histogram with a cache of its labelled children."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._children: dict[str, Histogram] = {}

    def add(self, label: str, value: float) -> None:
        child = self._children.get(label)
        if child is None:
            child = self._children[label] = self._histogram.labels(label)
        child.observe(value)
