"""The scripted server, which users start, script and inspect."""

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
    """An in-memory fake of the API behind a real socket, with scripted faults.

    While entered, it listens on a free port of the loopback address. `async with` runs it on the
    current event loop. `with` runs it in a thread, for code with its own event loop or without one.

    Each request takes the first scripted step whose path pattern matches, else the next step of the
    fault plan. Without a step, the fake answers it. The fake implements ping, agent instances,
    spans, bulk, idempotent replay and the control signal of a terminated instance.

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
        """Create a server, which listens once entered.

        Args:
            faults: Random faults for requests without a scripted step.
            idle_limit: Seconds after which an idle connection that has served a request is closed;
                `None` for never.
            idempotent: Whether to answer a repeated write from memory. If not, every write is
                applied, and `applied` counts how often a client sent it.
            token: The accepted token. Any other is answered with 401.
            clock: Returns the time for timestamps.

        """
        self.token = token
        self.requests: list[RecordedRequest] = []
        """Every request that arrived, in order, including those with a fault."""
        self._store = Store(clock)
        self._api = FakeApi(self._store, token, idempotent=idempotent)
        self._listener = Listener(self._next_step, self._answer, idle_limit)
        self._thread = ListenerThread(self._listener)
        # Held briefly by the serving thread and by the test's.
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
        """The number of accepted connections."""
        return self._listener.connections

    @property
    def instances(self) -> dict[str, JsonObject]:
        """Agent instances by id, as the API would show them now."""
        return self._store.instances

    @property
    def spans(self) -> dict[str, JsonObject]:
        """Spans by id, as the API would show them now, in order of creation."""
        return self._store.spans

    @property
    def applied(self) -> Counter[str]:
        """How often each write was applied, by idempotency key."""
        return self._store.applied

    @property
    def replayed(self) -> Counter[str]:
        """How often each write was answered from memory, by idempotency key."""
        return self._store.replayed

    def config(self, **overrides: object) -> HttpClientConfig:
        """Return a configuration for this server that retries within milliseconds.

        Any field of `HttpClientConfig` can be overridden.
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
        """Queue steps for the next requests whose path matches the shell pattern `path`."""
        with self._lock:
            self._script.extend((path, step) for step in steps)

    def inject(self, faults: FaultPlan | None) -> None:
        """Start a fault plan from its beginning. `None` stops it."""
        with self._lock:
            self._fault_steps = faults.steps() if faults else None

    def add_instance(self, *, status: str = "active") -> str:
        """Create an agent instance without a request, `pending` or `active`. Return its id."""
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
        """Start listening."""
        await self._listener.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening and abort every open connection."""
        await self._listener.close()

    def __enter__(self) -> Self:
        """Start listening, in a thread with its own event loop."""
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening, abort every open connection and end the thread."""
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
