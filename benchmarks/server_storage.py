"""Claim: what a span takes on disk is a small multiple of its payload, on both databases.

Spans with a kilobyte of words are recorded in bulk requests and finished with a result, as a
recorder does. Then the database is measured: the files of SQLite after the server has stopped, and
what PostgreSQL says of its database. What is derived (search, totals, series) counts too, once the
follower has caught up. The floor is the JSON of payload and result alone.

The words are drawn at random from a small vocabulary: they compress about as well as English does,
and neither as well as repeated text nor as badly as noise.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types
from harness import Figure, finish
from loadgen import Server, new_run, request, send_all, server_on, servers, stored_spans

RUNS, SPANS_OF_RUN, SIZE = 100, 200, 50
SPANS = RUNS * SPANS_OF_RUN
CATCH_UP = 120


class Recording:
    """Bulk requests of spans with words, and how many bytes of JSON their payloads are."""

    def __init__(self) -> None:
        self._random = random.Random(1)
        self._words = ["".join(self._random.choices("etaoinshrdlucmfw", k=n)) for n in (3, 5, 7, 9)]
        self._words += [
            "".join(self._random.choices("etaoinshrdlucmfwypvbgk", k=self._random.randint(2, 11)))
            for _ in range(4_000)
        ]
        self.payload_bytes = 0

    def _text(self, length: int) -> str:
        text = " ".join(self._random.choices(self._words, k=length // 5))
        return text[:length]

    def requests(self, run_id: str) -> list[bytes]:
        """Return the requests that record a run's spans, each created with its end."""
        made: list[bytes] = []
        for first in range(0, SPANS_OF_RUN, SIZE):
            items: list[dict[str, Any]] = []
            for number in range(first, first + SIZE):
                payload = {"model": "large-1", "prompt": self._text(800)}
                result = {"response": self._text(200)}
                self.payload_bytes += len(json.dumps(payload)) + len(json.dumps(result))
                items.append(
                    {
                        "_type": "agent_spans/create",
                        "idempotency_key": f"{run_id}-{number}",
                        "agent_instance_id": run_id,
                        "schema_name": "agent:llm",
                        "status": "complete",
                        "payload": payload,
                        "result_payload": result,
                    }
                )
            made.append(request("POST", "/api/v1/bulk", {"items": items}))
        return made


async def record(server: Server) -> float:
    """Record all runs. Return the mean bytes of a span's payloads as JSON."""
    recording = Recording()
    runs = [await new_run(server.port) for _ in range(RUNS)]
    await send_all([server.port], [recording.requests(run) for run in runs])
    assert await stored_spans(server.port, runs) == SPANS
    return recording.payload_bytes / SPANS


def settled(sizes: Sequence[int]) -> bool:
    """Return whether the follower seems to have caught up: the size has not changed for long."""
    return len(sizes) > 5 and len(set(sizes[-6:])) == 1


def size_on_disk(path: Path) -> int:
    """Return the bytes of a SQLite database and of the files beside it."""
    return sum(file.stat().st_size for file in path.parent.iterdir())


def sqlite() -> tuple[float, float]:
    """Return bytes of disk and of payload for a span on SQLite."""
    with tempfile.TemporaryDirectory(prefix="prefactor-bench-") as folder:
        path = Path(folder) / "storage.db"
        with server_on(path):
            pass
        empty = size_on_disk(path)
        with server_on(path) as server:
            given = asyncio.run(record(server))
            sizes: list[int] = []
            until = time.monotonic() + CATCH_UP
            while not settled(sizes) and time.monotonic() < until:
                time.sleep(1)
                sizes.append(size_on_disk(path))
        return (size_on_disk(path) - empty) / SPANS, given


async def postgresql() -> tuple[float, float]:
    """Return bytes of disk and of payload for a span on PostgreSQL."""
    with servers("postgresql") as (server,):
        connection = await asyncpg.connect(server.process.environ()["PREFACTOR_DATABASE"])
        size = "SELECT pg_database_size(current_database())"
        empty = int(await connection.fetchval(size))
        given = await record(server)
        sizes: list[int] = []
        until = time.monotonic() + CATCH_UP
        while not settled(sizes) and time.monotonic() < until:
            await asyncio.sleep(1)
            sizes.append(int(await connection.fetchval(size)))
        taken = (sizes[-1] - empty) / SPANS
        largest = await connection.fetch(
            "SELECT c.oid::regclass::text AS name, pg_table_size(c.oid) AS rows,"
            " pg_indexes_size(c.oid) AS indexes FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname !~ '^pg_|^information'"
            " ORDER BY pg_total_relation_size(c.oid) DESC LIMIT 8"
        )
        for table in largest:
            rows, indexes = table["rows"] / SPANS, table["indexes"] / SPANS
            print(f"  {table['name']}: {rows:,.0f} bytes a span in rows, {indexes:,.0f} in indexes")
        await connection.close()
        return taken, given


def main() -> None:
    """Measure both databases."""
    figures: list[Figure] = []
    for name, goal, gate, (taken, given) in (
        ("SQLite", 3.0, 5.0, sqlite()),
        ("PostgreSQL", 3.5, 6.0, asyncio.run(postgresql())),
    ):
        print(f"{name}: {taken:,.0f} bytes a span, of {given:,.0f} bytes of payload", flush=True)
        figures.append(
            Figure(f"disk for a span over its payload's JSON, {name}", taken / given, goal, gate)
        )
    finish(*figures)


if __name__ == "__main__":
    main()
