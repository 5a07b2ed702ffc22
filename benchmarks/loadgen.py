"""Load for the server's benchmarks: real servers, raw sockets, prepared requests.

The generator shares two cores with what it measures, so it does as little as can be: requests are
bytes before the clock starts, and of an answer only the status and the length are read.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from postgres_server import start_postgres

TOKEN = "token-of-the-benchmarks-that-opens-nothing-else"
PROGRAM = Path(sys.executable).parent / "prefactor-server"
# Durable as it comes: what is measured includes the disk.
DURABLE = ("max_connections=60", "shared_buffers=256MB")

SPAN_TYPES = [
    {
        "name": "agent:llm",
        "params_schema": {
            "type": "object",
            "properties": {"model": {"type": "string"}, "prompt": {"type": "string"}},
            "required": ["model", "prompt"],
        },
        "result_schema": {"type": "object"},
        "template": "{{ model }}: {{ prompt | truncate: 40 }}",
    }
]
TEXT = "What the agent was asked, at the length of an ordinary question with its context. " * 10


@dataclass(frozen=True)
class Server:
    """A server under load, in a process of its own."""

    port: int
    process: psutil.Process

    @property
    def cpu_seconds(self) -> float:
        """The CPU time used so far, to the microsecond; ``/proc`` counts hundredths of a second."""
        # The clock of another process, as Linux names it for `clock_getcpuclockid`.
        return time.clock_gettime(~self.process.pid << 3 | 2)

    @property
    def resident_mb(self) -> float:
        """Its resident memory."""
        return float(self.process.memory_info().rss / 1e6)


@contextmanager
def servers(backend: str, count: int = 1) -> Iterator[list[Server]]:
    """Servers on one new database of a backend, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="prefactor-bench-") as name:
        folder = Path(name)
        postgres = start_postgres(DURABLE) if backend == "postgresql" else None
        started: list[subprocess.Popen[bytes]] = []
        try:
            database = (
                f"sqlite:///{folder / 'bench.db'}"
                if postgres is None
                else postgres.create_database("bench")
            )
            started += [_start(folder / f"ready-{number}", database) for number in range(count)]
            yield [_ready(folder / f"ready-{n}", process) for n, process in enumerate(started)]
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait()
            if postgres is not None:
                postgres.discard()


@contextmanager
def server_on(
    database: Path, program: Sequence[str | Path] = (PROGRAM,), **environ: str
) -> Iterator[Server]:
    """A server on a SQLite file, for as long as the block lasts."""
    ready = database.with_suffix(".ready")
    process = _start(ready, f"sqlite:///{database}", program, environ)
    try:
        yield _ready(ready, process)
    finally:
        process.terminate()
        process.wait()
        ready.unlink(missing_ok=True)


def _start(
    ready: Path,
    database: str,
    program: Sequence[str | Path] = (PROGRAM,),
    environ: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*program, "serve", "--port", "0", "--ready-file", ready],
        env={
            **os.environ,
            "PREFACTOR_BOOTSTRAP_TOKEN": TOKEN,
            "PREFACTOR_DATABASE": database,
            **environ,
        },
        stderr=subprocess.DEVNULL,
    )


def _ready(ready: Path, process: subprocess.Popen[bytes]) -> Server:
    while not ready.exists():
        assert process.poll() is None, "the server ended before it was ready"
        time.sleep(0.02)
    url = json.loads(ready.read_text(encoding="utf-8"))["url"]
    return Server(int(url.rsplit(":", 1)[1]), psutil.Process(process.pid))


class Connection:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, request: bytes) -> bytes:
        """Send a prepared request and return the body of the answer, which must be a 200."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        return await self._reader.readexactly(int(length))

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


def request(method: str, path: str, body: object = None, headers: str = "") -> bytes:
    """A request as it goes over the wire. Each of `headers` ends with a line break."""
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n{headers}"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def least_cpu_ms(
    server: Server,
    path: str,
    rounds: int,
    requests: int,
    check: Callable[[bytes], None] = lambda _answer: None,
) -> float:
    """Return the least CPU time of the server for a GET of `path`, over `rounds` of `requests`."""
    connection = await Connection.open(server.port)
    asked = request("GET", path)
    check(await connection.send(asked))
    found: list[float] = []
    for _ in range(rounds):
        before = server.cpu_seconds
        for _ in range(requests):
            await connection.send(asked)
        found.append((server.cpu_seconds - before) / requests * 1e3)
    connection.close()
    return min(found)


async def new_run(port: int) -> str:
    """Register and start a run with one span type. Return its id."""
    connection = await Connection.open(port)
    answer = await connection.send(
        request(
            "POST",
            "/api/v1/agent_instance/register",
            {
                "agent_id": "bench",
                "agent_schema_version": {
                    "external_identifier": "1",
                    "span_type_schemas": SPAN_TYPES,
                },
            },
        )
    )
    run_id = str(json.loads(answer)["details"]["id"])
    await connection.send(request("POST", f"/api/v1/agent_instance/{run_id}/start", {}))
    connection.close()
    return run_id


async def stored_spans(port: int, run_ids: Sequence[str]) -> int:
    """How many spans these runs have, by their own counts."""
    connection = await Connection.open(port)
    total = 0
    for run_id in run_ids:
        shown = await connection.send(request("GET", f"/api/v1/agent_instance/{run_id}"))
        total += int(json.loads(shown)["details"]["span_counts"]["total"])
    connection.close()
    return total


class Spans:
    """Prepares span requests, each with keys of its own."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._count = 0

    def _fields(self) -> dict[str, object]:
        self._count += 1
        return {
            "agent_instance_id": self._run_id,
            "schema_name": "agent:llm",
            "status": "active",
            "payload": {
                "model": "large-1",
                "prompt": f"{self._count}: {TEXT}",
                "token_usage": {"prompt_tokens": 210, "completion_tokens": 0, "total_tokens": 210},
            },
        }

    def single(self) -> bytes:
        """One span in a request."""
        fields = self._fields()
        key = f"{self._run_id}-{self._count}"
        return request("POST", "/api/v1/agent_spans", {"details": fields, "idempotency_key": key})

    def bulk(self, size: int, *, minimal: bool = False) -> bytes:
        """Many spans in a request, which may ask for a minimal answer."""
        items: list[dict[str, object]] = []
        for _ in range(size):
            fields = self._fields()
            key = f"{self._run_id}-{self._count}"
            items.append({"_type": "agent_spans/create", "idempotency_key": key, **fields})
        headers = "Prefer: return=minimal\r\n" if minimal else ""
        return request("POST", "/api/v1/bulk", {"items": items}, headers)


@dataclass(frozen=True)
class Load:
    """What a load took: seconds in all, seconds of each request, and bytes of all answers."""

    seconds: float
    latencies: Sequence[float]
    received: int

    def latency_ms(self, share: float) -> float:
        """The latency that this share of the requests kept below."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1e3


async def send_all(ports: Sequence[int], per_client: Sequence[Sequence[bytes]]) -> Load:
    """Send each client's requests one after the other, all clients at once, over all ports."""
    connections = [
        await Connection.open(ports[number % len(ports)]) for number in range(len(per_client))
    ]
    latencies: list[float] = []
    sizes: list[int] = []

    async def client(connection: Connection, requests: Sequence[bytes]) -> None:
        for one in requests:
            before = time.perf_counter()
            answer = await connection.send(one)
            latencies.append(time.perf_counter() - before)
            sizes.append(len(answer))
            assert b'"status":"error"' not in answer, answer[:500]

    before = time.perf_counter()
    await asyncio.gather(*(client(*pair) for pair in zip(connections, per_client, strict=True)))
    seconds = time.perf_counter() - before
    for connection in connections:
        connection.close()
    return Load(seconds, latencies, sum(sizes))


def run(work: Callable[[], Awaitable[object]]) -> None:
    """Run a benchmark's coroutine."""

    async def main() -> None:
        await work()

    asyncio.run(main())
