"""Writes that others keep getting ahead of, behind the front door."""

import asyncio

from door import open_door

from postgres_server import PostgresServer


async def test_a_write_that_never_gets_through_is_answered_503(server: PostgresServer) -> None:
    """It says when to come back, alone and in bulk; its neighbours in a batch are carried out."""
    url = server.create_database("contended")
    async with open_door(url) as door:
        run = await door.register("run-1")
        # What every write of a second span races for, and always in vain.
        await door.rows("CREATE UNIQUE INDEX one_span_only ON agent_span (account_id)")
        await door.span(run, id="first")
        span = {"agent_instance_id": "run-1", "schema_name": "step"}
        item = {"_type": "agent_spans/create", "idempotency_key": "key-of-item", **span}

        alone, bulk, *others = await asyncio.gather(
            door.post("/agent_spans", {"details": span, "idempotency_key": "mine"}),
            door.post("/bulk", {"items": [item]}),
            *(door.post("/agent_instance/register", {"agent_id": f"a-{n}"}) for n in range(5)),
        )
        await door.rows("DROP INDEX one_span_only")
        again = await door.post("/agent_spans", {"details": span, "idempotency_key": "mine"})

    for refused in (alone, bulk):
        assert "nothing was stored" in refused.refused(503, "unexpected")["message"]
        assert refused.headers["Retry-After"] == "1"
    assert [answer.status for answer in others] == [200] * 5
    assert not again.replayed
