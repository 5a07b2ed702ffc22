"""Writes that keep conflicting with others, through the API."""

import asyncio

from api_client import open_api_client

from postgres_server import PostgresServer


async def test_a_write_that_keeps_conflicting_gets_a_503(server: PostgresServer) -> None:
    """The answer has a Retry-After, alone and in bulk; other requests in the batch succeed."""
    url = server.create_database("contended")
    async with open_api_client(url) as api_client:
        run = await api_client.register("run-1")
        await api_client.span(run)
        [(partition,)] = await api_client.rows("SELECT tableoid::regclass::text FROM agent_span")
        # Every write of a second span conflicts here, always.
        await api_client.rows(f"CREATE UNIQUE INDEX one_span_only ON {partition} (account_id)")
        span = {"agent_instance_id": "run-1", "schema_name": "step"}
        item = {"_type": "agent_spans/create", "idempotency_key": "key-of-item", **span}

        alone, bulk, *others = await asyncio.gather(
            api_client.post("/agent_spans", {"details": span, "idempotency_key": "mine"}),
            api_client.post("/bulk", {"items": [item]}),
            *(
                api_client.post("/agent_instance/register", {"agent_id": f"a-{n}"})
                for n in range(5)
            ),
        )
        await api_client.rows("DROP INDEX one_span_only")
        again = await api_client.post("/agent_spans", {"details": span, "idempotency_key": "mine"})

    for refused in (alone, bulk):
        assert "nothing was stored" in refused.refused(503, "unexpected")["message"]
        assert refused.headers["Retry-After"] == "1"
    assert [answer.status for answer in others] == [200] * 5
    assert not again.replayed
