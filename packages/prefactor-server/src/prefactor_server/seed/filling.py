"""Writes the example data to a server, except for data that it already has."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeAlias, TypeVar

from prefactor_server.domain.errors import NotPermitted, Refusal
from prefactor_server.domain.times import DAY_US, MINUTE_US, format_time, parse_time
from prefactor_server.seed.agents import AGENTS, ENVIRONMENT, RISK_PROFILE, creation
from prefactor_server.seed.api_client import ApiAddress, ApiClient, path_of
from prefactor_server.seed.history import DAYS, History, PlannedRun
from prefactor_server.seed.large_run import LargeRun
from prefactor_server.seed.span_types import Json

T = TypeVar("T")
R = TypeVar("R")
Report: TypeAlias = Callable[[str, int, int], None]
"""Receives the kind of data being written, the amount done, and the total."""

_WORKERS: Final = 4
_MAX_ITEMS: Final = 900


class Plan(NamedTuple):
    """The data to write; without a large run if ``large_run_spans`` is 0."""

    seed: int
    runs: int
    large_run_spans: int


class Summary(NamedTuple):
    """The data on the server, and how much of it is new."""

    seed: int
    runs: int
    runs_written: int
    spans: int
    agents: Sequence[str]
    started_from: str
    started_before: str
    large_run: str | None
    large_run_written: bool


def fill(
    address: ApiAddress,
    plan: Plan,
    *,
    now: int,
    report: Report,
    tell: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Write the missing example data.

    Args:
        address: the API, with an account token.
        plan: the data to write.
        now: microseconds since 1970. A new history ends there.
        report: called as runs and spans are written.
        tell: called when requests have to wait, with the reason.

    Raises:
        Refusal: the server rejected a request, or cannot be reached.
    """
    with _Connections(address, tell) as connections:
        client = connections.client()
        _prepare(client)
        history = _history(client, plan, now)
        runs = written = spans = 0
        for batch, is_new in connections.each(_send_batch, _batches(history.planned())):
            runs += len(batch)
            written += len(batch) if is_new else 0
            spans += sum(run.spans for run in batch)
            report("runs", runs, plan.runs)
        large_id, is_new = None, False
        if plan.large_run_spans:
            large_id, is_new = _fill_large_run(connections, plan, history, report)
    names = [agent.external_identifier for agent in AGENTS]
    period = (format_time(history.start), format_time(history.until))
    return Summary(plan.seed, runs, written, spans, names, *period, large_id, is_new)


def _prepare(client: ApiClient) -> None:
    """Create the environment, the risk profile and the agents, unless they exist."""
    scope = _details(client.ping())["token_scope"]
    if scope != "account":
        raise NotPermitted(
            f"The token has the scope {scope}, but an account token is needed: create one with "
            "prefactor-server token create"
        )
    objects = [("environment", ENVIRONMENT["id"], ENVIRONMENT)]
    objects += [("risk_profile", RISK_PROFILE["id"], RISK_PROFILE)]
    objects += [("agent", agent.external_identifier, creation(agent)) for agent in AGENTS]
    for kind, identifier, fields in objects:
        if client.get(path_of(kind, identifier)) is None:
            client.post(f"/api/v1/{kind}", {"details": fields})


def _history(client: ApiClient, plan: Plan, now: int) -> History:
    """Return the history that the server has, with its end, or a new one that ends now."""
    history = History(plan.seed, plan.runs, now // MINUTE_US * MINUTE_US)
    begun = client.get(path_of("agent_instance", history.run_id(0)))
    if begun is None or begun["details"]["started_at"] is None:
        return history
    return history._replace(until=parse_time(begun["details"]["started_at"]) + DAYS * DAY_US)


def _batches(planned: Iterable[PlannedRun]) -> Iterator[Sequence[PlannedRun]]:
    """Group runs whose items fit into one request."""
    batch: list[PlannedRun] = []
    items = 0
    for run in planned:
        if batch and items + len(run.items) > _MAX_ITEMS:
            yield batch
            batch, items = [], 0
        batch.append(run)
        items += len(run.items)
    if batch:
        yield batch


def _send_batch(client: ApiClient, batch: Sequence[PlannedRun]) -> bool:
    """Send runs, or return False if the last item of the last run exists."""
    if _exists(client, batch[-1]):
        return False
    _send(client, [item for run in batch for item in run.items])
    return True


def _exists(client: ApiClient, run: PlannedRun) -> bool:
    found = client.get(path_of("agent_instance", run.id))
    if found is None or found["details"]["status"] != run.status:
        return False
    if run.status != "active":
        return True
    return client.get(path_of("agent_spans", run.items[-1]["id"])) is not None


def _fill_large_run(
    connections: _Connections, plan: Plan, history: History, report: Report
) -> tuple[str, bool]:
    run = LargeRun(plan.seed, history.until, plan.large_run_spans)
    client = connections.client()
    found = client.get(path_of("agent_instance", run.id))
    if found is not None and found["details"]["status"] == "complete":
        return run.id, False
    beginning = run.beginning()
    _send(client, beginning)
    sent = 1
    for piece, _ in connections.each(_send, run.pieces()):
        sent += len(piece)
        report("spans of the large run", sent, plan.large_run_spans)
    _send(client, run.end())
    return run.id, True


def _send(client: ApiClient, items: Sequence[Json]) -> None:
    outputs = client.post("/api/v1/bulk", {"items": items})["outputs"]
    for key, output in outputs.items():
        if output["status"] != "success":
            raise Refusal(f"{key}: {output.get('code')}: {output.get('message')}")
    if len(outputs) != len(items):
        raise Refusal(f"the server answered {len(outputs)} of {len(items)} items")


def _details(document: Any) -> Any:
    return document["details"]


class _Connections:
    """One connection per worker thread, for a limited number of concurrent requests."""

    def __init__(self, address: ApiAddress, tell: Callable[[str], None]) -> None:
        self._address = address
        self._tell = tell
        self._thread = threading.local()
        self._clients: list[ApiClient] = []
        self._pool = ThreadPoolExecutor(_WORKERS, "seed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        for client in self._clients:
            client.close()

    def client(self) -> ApiClient:
        """Return the client of the current thread."""
        client: ApiClient | None = getattr(self._thread, "client", None)
        if client is None:
            client = ApiClient(self._address, tell=self._tell)
            self._thread.client = client
            self._clients.append(client)
        return client

    def each(self, send: Callable[[ApiClient, T], R], parts: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Send parts concurrently, a few at a time, and yield each with its result, in order."""
        waiting: deque[tuple[T, Future[R]]] = deque()
        for part in parts:
            waiting.append((part, self._pool.submit(self._send, send, part)))
            if len(waiting) > _WORKERS:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()

    def _send(self, send: Callable[[ApiClient, T], R], part: T) -> R:
        return send(self.client(), part)
