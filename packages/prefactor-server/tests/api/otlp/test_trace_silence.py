"""A trace without activity ends its run provisionally, until its agent sends more."""

from typing import Any

from api_client import open_api_client
from otlp_request import (
    AGENT,
    CHAT,
    TOOL,
    export,
    failed,
    outcome,
    runs,
    span,
)

from prefactor_server.commands.otlp_trace import EndSilentTrace
from prefactor_server.upkeep.silent_traces import end_some

MINUTE_US = 60_000_000
CONVERSATION = [
    span(1, None, {**AGENT, "session.id": "s-1", "user.id": "u-1"}, name="invoke_agent helper"),
    span(2, 1, CHAT, name="chat m-1"),
    span(3, 1, TOOL, name="execute_tool find", **failed("no such table")),
]


async def _end_silent(api_client: Any, minutes: int = 60) -> int:
    return await end_some(
        api_client.storage.maintenance,
        api_client.writer,
        idle_us=minutes * MINUTE_US,
        now=api_client.clock(),
    )


async def test_silence_ends_a_run_provisionally(api_client: Any) -> None:
    """A run without a root span ends provisionally; the root replaces that end, once."""
    await export(api_client, [span(2, 1, CHAT)])
    assert await _end_silent(api_client) == 0
    api_client.clock.leap(seconds=3601)
    assert await _end_silent(api_client) == 1
    idle, _ = await outcome(api_client)
    await export(api_client, [span(3, 1, TOOL)])
    late, _ = await outcome(api_client)
    await export(api_client, [span(1, None, AGENT, **failed("boom"))])
    ended, _ = await outcome(api_client)

    assert (idle["status"], idle["ended_by"]) == ("complete", "idle")
    assert idle["finished_at"] == "2026-01-01T00:01:38.000000Z"
    assert (late["status"], late["ended_by"], late["span_counts"]["total"]) == (
        "complete",
        "idle",
        2,
    )
    assert (ended["status"], ended["ended_by"]) == ("failed", None)
    assert await api_client.rows("SELECT count(*) FROM otlp_trace WHERE is_open") == [(0,)]


async def test_the_agents_own_finish_replaces_a_provisional_end(api_client: Any) -> None:
    """A finish through the API replaces the provisional end with 200, and the next is refused."""
    await export(api_client, [span(2, 1, CHAT)])
    api_client.clock.leap(seconds=3601)
    await _end_silent(api_client)
    (run,) = await runs(api_client)
    path = f"/agent_instance/{run['id']}/finish"

    first = (await api_client.post(path, {"status": "failed"})).details
    again = await api_client.post(path, {"status": "complete"})

    assert (first["status"], first["ended_by"]) == ("failed", None)
    again.refused(409, "invalid_action")


async def test_terminated_always_wins(api_client: Any) -> None:
    """A terminated run stays terminated, and keeps its spans, whatever arrives later."""
    await export(api_client, [span(2, 1, CHAT)])
    api_client.clock.leap(seconds=3601)
    await _end_silent(api_client)
    (run,) = await runs(api_client)
    stopped = await api_client.post(f"/agent_instance/{run['id']}/terminate", {"reason": "enough"})
    await export(api_client, CONVERSATION)

    assert stopped.details["status"] == "terminated"
    ended, spans = await outcome(api_client)
    assert (ended["status"], ended["ended_by"], len(spans)) == ("terminated", None, 3)


async def test_an_active_trace_is_not_ended(api_client: Any) -> None:
    """A trace that receives spans after it was found silent is not ended."""
    await export(api_client, [span(2, 1, CHAT)])
    (found,) = await api_client.storage.maintenance.silent_traces(api_client.clock() + 1, 10)
    await export(api_client, [span(3, 1, TOOL)])
    from prefactor_server.commands.base import Request  # noqa: PLC0415 - for this step alone

    request_ = Request(found.account_id, "test", api_client.clock(), None, b"")
    await api_client.writer.submit([EndSilentTrace(request_, found)], 0)

    assert (await outcome(api_client))[0]["status"] == "active"


async def test_spans_of_a_deleted_run_are_a_new_run(database_url: str) -> None:
    """Spans that arrive after retention deleted their run are in a new one, which ends as well."""
    async with open_api_client(database_url) as first:
        await export(first, [span(1, None, AGENT), span(2, 9, CHAT)])
        await first.call("PUT", "/retention_policy", {"details": {"rules": [{"days": 1}]}})
        first.clock.leap(seconds=3 * 86_400)
        await first.apply_retention()
        assert await runs(first) == []

    # A server that was restarted knows the trace only from the database.
    async with open_api_client(database_url, clock=first.clock) as restarted:
        await export(restarted, [span(3, 1, TOOL)])
        late, spans = await outcome(restarted)
        restarted.clock.leap(seconds=3601)
        await _end_silent(restarted)
        ended, _ = await outcome(restarted)

    assert (late["status"], [*spans]) == ("active", [3])
    assert (ended["status"], ended["ended_by"]) == ("complete", "idle")
