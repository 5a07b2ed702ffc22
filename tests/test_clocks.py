"""Servers on one database agree on the time, although the clocks of their machines do not."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from live_server import LiveServer
from postgres_server import PostgresServer
from prefactor_http import HttpClientConfig, PrefactorHttpClient

_HOUR = 3600
_SITE = """
import time

machine = time.time_ns
time.time_ns = lambda: machine() + {seconds} * 10**9
"""
_DATABASE_TIME = "SELECT clock_timestamp()"
_LEASED = "SELECT count(*) FROM lease"
_LATE = """
SELECT count(*) FROM lease
WHERE ends_at > (extract(epoch FROM clock_timestamp()) + 120) * 1000000
"""


@pytest.mark.parametrize("seconds", [_HOUR, -_HOUR], ids=["ahead", "behind"])
async def test_a_wrong_clock(
    tmp_path: Path, serve: Callable[..., LiveServer], postgres: PostgresServer, seconds: int
) -> None:
    """A server whose clock is an hour off stores the database's time, and leases that end soon."""
    url = postgres.create_database(f"clock_{'ahead' if seconds > 0 else 'behind'}")
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_SITE.format(seconds=seconds), encoding="utf-8")
    server = serve(tmp_path / "server", database=url, variables={"PYTHONPATH": str(site)})
    database = await asyncpg.connect(url)
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        run = await client.agent_instances.register("agent", {}, {})
        now = await database.fetchval(_DATABASE_TIME)
        while not await database.fetchval(_LEASED):  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.05)
        late = await database.fetchval(_LATE)
    await database.close()

    assert run.inserted_at is not None
    assert abs((run.inserted_at - now).total_seconds()) < _HOUR / 2
    assert late == 0
    assert "clock_differs_from_database" in server.output
