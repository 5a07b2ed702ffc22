"""A replica that is paused in the middle of its work does not stop the others."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import asyncpg

from live_server import LiveServer
from patience import patience
from postgres_server import PostgresServer
from prefactor_http import HttpClientConfig, PrefactorHttpClient
from prefactor_http.events import EventStream

_IN_TRANSACTION = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
    "state = 'idle in transaction' AND backend_xid IS NOT NULL"
)
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
    "wait_event_type = 'Lock' AND query LIKE '%UPDATE feed_consumer%'"
)

_FOLLOWED = (
    "SELECT count(*) FROM feed_consumer WHERE position = (SELECT max(position) FROM feed_change)"
)


def client_of(server: LiveServer) -> PrefactorHttpClient:
    """A client of a server."""
    return PrefactorHttpClient(HttpClientConfig(server.url, server.token))


async def until(connection: asyncpg.Connection, query: str) -> None:
    """Wait until a query counts something."""
    async with asyncio.timeout(patience(30)):
        while not await connection.fetchval(query):  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.02)


async def sent(events: EventStream, span_id: str) -> None:
    """Read events until one has a span."""
    async with asyncio.timeout(patience(60)):
        async for event in events:
            if span_id in {span.id for span in event.spans}:
                return


async def test_a_paused_transaction(
    tmp_path: Path, serve: Callable[..., LiveServer], postgres: PostgresServer
) -> None:
    """A server that is paused within a transaction holds back no events, and works again after."""
    url = postgres.create_database("paused_transaction")
    operator, blocker = await asyncpg.connect(url), await asyncpg.connect(url)
    first = serve(tmp_path / "first", database=url)
    try:
        async with client_of(first) as client:
            run = await client.agent_instances.register("agent", {}, {})
            # The follower's first statement waits, and its process is paused before the second.
            async with blocker.transaction():
                await blocker.execute("SELECT FROM feed_consumer FOR UPDATE")
                await client.agent_spans.create(run.id, "step", "active", {})
                await until(operator, _WAITING)
                first.process.send_signal(signal.SIGSTOP)
            await until(operator, _IN_TRANSACTION)

        second = serve(tmp_path / "second", database=url)
        async with client_of(second) as client, client.events() as events:
            span = await client.agent_spans.create(run.id, "step", "active", {})
            await sent(events, span.id)

        first.process.send_signal(signal.SIGCONT)
        second.stop()
        async with client_of(first) as client, client.events() as events:
            span = await client.agent_spans.create(run.id, "step", "active", {})
            await sent(events, span.id)
            await until(operator, _FOLLOWED)
        # A warning that the database ended the transaction is fine.
        assert "consumer_failed" not in first.output
        assert '"level": "error"' not in first.output
    finally:
        first.process.send_signal(signal.SIGCONT)
        await operator.close()
        await blocker.close()
