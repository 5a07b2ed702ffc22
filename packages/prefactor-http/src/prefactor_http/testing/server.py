"""The scripted server itself: what users start, script and look into."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from prefactor_http.config import HttpClientConfig
from prefactor_http.testing import agent_instance
from prefactor_http.testing.api import FakeApi
from prefactor_http.testing.listener import Listener
from prefactor_http.testing.store import Call, Clock, JsonObject, Store
from prefactor_http.testing.thread import ListenerThread

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from prefactor_http.testing.faults import FaultPlan, Reply, Step
    from prefactor_http.testing.wire import RecordedRequest


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ScriptedServer:
    """A model of the API behind a real socket, with faults on demand.

    It listens on a free port of the loopback address for as long as it is entered: with
    `async with` on the running event loop, with `with` in a thread of its own, for code that
    brings its own event loop or none.

    Each request meets the first scripted step that fits its path; when none is left, the next
    step of the fault plan; otherwise it is answered by an in-memory model of the API: ping, agent
    instances, spans, bulk, idempotent replay and the control signal of a terminated instance.

        async with ScriptedServer() as server:
            server.script(Drop(after="processing"))
            async with PrefactorHttpClient(server.config()) as client:
                await client.agent_instances.register("agent", {}, {})
            assert len(server.instances) == 1
    """

    def __init__(
        self,
        *,
        faults: FaultPlan | None = None,
        idle_limit: float | None = None,
        idempotent: bool = True,
        token: str = "test-token",  # noqa: S107 - opens nothing but this server
        clock: Clock = _utc_now,
    ) -> None:
        """Prepare a server; it listens once entered.

        Args:
            faults: Random faults for requests that no scripted step took.
            idle_limit: Seconds after which a connection that has served a request and is idle is
                closed, or `None` for never.
            idempotent: Whether a repeated write is answered from memory. Without it every write
                that arrives is applied, and `applied` shows what a client really sent.
            token: The token that is let in; every other one is answered with 401.
            clock: Where timestamps come from.

        """
        self.token = token
        self.requests: list[RecordedRequest] = []
        """Every request that arrived, in order, also those that met a fault."""
        self._store = Store(clock)
        self._api = FakeApi(self._store, token, idempotent=idempotent)
        self._listener = Listener(self._next_step, self._answer, idle_limit)
        self._thread = ListenerThread(self._listener)
        # Taken by the serving thread and by the one that looks into the server, never for long.
        self._lock = threading.Lock()
        self._script: deque[tuple[str, Step]] = deque()
        self._fault_steps: Iterator[Step | None] | None = None
        self.inject(faults)

    @property
    def url(self) -> str:
        """Base URL of the server; `RuntimeError` unless it is listening."""
        address = self._listener.address
        if address is None:
            msg = "the server is not listening: use `async with ScriptedServer() as server`"
            raise RuntimeError(msg)
        host, port = address
        return f"http://{host}:{port}"

    @property
    def connections(self) -> int:
        """How many connections were accepted."""
        return self._listener.connections

    @property
    def instances(self) -> dict[str, JsonObject]:
        """Agent instances by id, as the API would show them now."""
        return self._store.instances

    @property
    def spans(self) -> dict[str, JsonObject]:
        """Spans by id, as the API would show them now, in the order in which they were made."""
        return self._store.spans

    @property
    def applied(self) -> Counter[str]:
        """How often the effect of a write was applied, by idempotency key."""
        return self._store.applied

    @property
    def replayed(self) -> Counter[str]:
        """How often a repeated write was answered from memory, by idempotency key."""
        return self._store.replayed

    def config(self, **overrides: object) -> HttpClientConfig:
        """Return a configuration for this server that retries within milliseconds.

        Any field of `HttpClientConfig` can be given by name.
        """
        changes: dict[str, Any] = overrides
        base = HttpClientConfig(
            self.url,
            self.token,
            request_timeout=5.0,
            connect_timeout=5.0,
            initial_retry_delay=0.001,
            max_retry_delay=0.05,
        )
        return replace(base, **changes)

    def script(self, *steps: Step, path: str = "*") -> None:
        """Queue what happens to the next requests whose path fits the shell pattern `path`."""
        with self._lock:
            self._script.extend((path, step) for step in steps)

    def inject(self, faults: FaultPlan | None) -> None:
        """Start the sequence of a fault plan from its beginning, or stop with `None`."""
        with self._lock:
            self._fault_steps = faults.steps() if faults else None

    def add_instance(self, *, status: str = "active") -> str:
        """Make an agent instance without a request, `pending` or `active`; return its id."""
        with self._lock:
            id_: str = agent_instance.register(self._store, Call())["details"]["id"]
            if status == "active":
                agent_instance.start(self._store, Call(id_))
        return id_

    def terminate(self, agent_instance_id: str, reason: str) -> None:
        """Terminate an active instance as an operator would, without a request."""
        call = Call(agent_instance_id, body={"reason": reason})
        with self._lock:
            agent_instance.terminate(self._store, call)

    async def __aenter__(self) -> Self:
        """Start to listen."""
        await self._listener.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to listen and break off every open connection."""
        await self._listener.close()

    def __enter__(self) -> Self:
        """Start to listen, in a thread with an event loop of its own."""
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to listen, break off every open connection and end the thread."""
        self._thread.stop()

    def _next_step(self, request: RecordedRequest) -> Step | None:
        with self._lock:
            self.requests.append(request)
            for index, (pattern, step) in enumerate(self._script):
                if fnmatchcase(request.path, pattern):
                    del self._script[index]
                    return step
            return next(self._fault_steps) if self._fault_steps else None

    def _answer(self, request: RecordedRequest) -> Reply:
        with self._lock:
            return self._api.answer(request)
