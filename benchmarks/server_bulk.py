"""Claim: HTTP, checks and templates cost less than twice what storing the spans costs.

Sixteen clients send bulk requests of fifty spans with a kilobyte of payload each. Every span is
checked against its schema, summarised by its template, compressed, and on the disk before it is
answered, and all that is derived from spans is derived while they arrive. The floor is the same
spans through the SQLite storage alone, without HTTP, checks or templates. A bare ASGI application
that takes the same requests and answers at once shows what the load generator takes. PostgreSQL
is compared with SQLite, and two servers with one, because absolute rates differ by a factor of two
from one machine to the next.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from filler import Filler
from harness import Figure, finish, sized
from loadgen import Load, Server, Spans, new_run, send_all, servers, stored_spans

from prefactor_server.commands.agent_span import CreateSpan

CLIENTS = sized(16, 2)
SIZE = 50
REQUESTS = sized(12, 2)
ROUNDS = sized(5, 2)
SPANS = CLIENTS * REQUESTS * SIZE


async def rate(targets: Sequence[Server]) -> tuple[float, float]:
    """Spans a second, and the latency that 99 of 100 requests kept below, in milliseconds."""
    run_ids = [await new_run(targets[0].port) for _ in range(CLIENTS)]
    rates: list[float] = []
    slowest: list[float] = []
    makers = [Spans(run_id) for run_id in run_ids]
    for number in range(-1, ROUNDS):
        requests = [[maker.bulk(SIZE) for _ in range(REQUESTS)] for maker in makers]
        load: Load = await send_all([target.port for target in targets], requests)
        if number >= 0:
            rates.append(SPANS / load.seconds)
            slowest.append(load.latency_ms(0.99))
    assert await stored_spans(targets[-1].port, run_ids) == (ROUNDS + 1) * SPANS
    return statistics.median(rates), statistics.median(slowest)


def measure(backend: str, count: int) -> tuple[float, float]:
    """The rate of a number of servers on one database, and the largest one's memory."""
    with servers(backend, count) as started:
        spans_per_second, slowest = asyncio.run(rate(started))
        memory = max(server.resident_mb for server in started)
    print(
        f"{backend}, {count} server(s): {spans_per_second:,.0f} spans/s, "
        f"p99 {slowest:.0f} ms, {memory:.0f} MB"
    )
    return spans_per_second, memory


async def storage_floor() -> float:
    """Spans a second through writer and SQLite storage alone."""
    with tempfile.TemporaryDirectory(prefix="prefactor-bench-") as folder:
        filler = await Filler.open(Path(folder) / "floor.db")
        runs = [await filler.new_run() for _ in range(CLIENTS)]
        prepared = [[filler.spans(run, SIZE) for _ in range(REQUESTS)] for run in runs]

        async def client(batches: list[list[CreateSpan]]) -> None:
            for batch in batches:
                await filler.write(batch)

        before = time.perf_counter()
        await asyncio.gather(*(client(batches) for batches in prepared))
        seconds = time.perf_counter() - before
        await filler.close()
    return SPANS / seconds


@contextmanager
def bare_application() -> Iterator[Server]:
    """An ASGI application that reads a request and answers, on the same application server."""
    program = Path(__file__).with_name("bareapp.py")
    with subprocess.Popen(
        [sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield Server(int(process.stdout.readline()), psutil.Process(process.pid))
        process.terminate()


async def application_floor(server: Server) -> float:
    """Spans a second, if all a server did were to read requests and answer."""
    maker = Spans("run")
    requests = [[maker.bulk(SIZE) for _ in range(REQUESTS)] for _ in range(CLIENTS)]
    return SPANS / (await send_all([server.port], requests)).seconds


def main() -> None:
    """Measure both backends and both floors."""
    storage = statistics.median(asyncio.run(storage_floor()) for _ in range(3))
    print(f"floor, the storage alone (SQLite): {storage:,.0f} spans/s")
    with bare_application() as bare:
        answered = statistics.median(asyncio.run(application_floor(bare)) for _ in range(3))
        least = bare.resident_mb
    print(f"floor, a bare ASGI reply: {answered:,.0f} spans/s, {least:.0f} MB")
    sqlite, memory = measure("sqlite", 1)
    postgres, _ = measure("postgresql", 1)
    both, _ = measure("postgresql", 2)
    finish(
        Figure("bulk of 50, 16 clients, SQLite ÷ storage alone", sqlite / storage, 0.6, 0.45),
        Figure("the same, PostgreSQL ÷ SQLite", postgres / sqlite, 1.3, 1.1),
        Figure("the same, PostgreSQL, two servers ÷ one", both / postgres, 1.8, 1.6),
        Figure(
            "resident memory under that load, SQLite", round(memory), 200, 300, "MB", round(least)
        ),
    )


if __name__ == "__main__":
    main()
