"""Runs for tests of series."""

from typing import Any

from prefactor_server.follower import Attached, CommitSignal, Follower
from prefactor_server.follower.series import SeriesConsumer

NEWS = {"schema_name": "x:llm", "status": "complete"}


async def follow(api_client: Any) -> None:
    """Let the follower catch up."""
    consumer = SeriesConsumer(api_client.storage.series, api_client.storage.feed, api_client.clock)
    attached = [Attached(consumer)]
    signal = CommitSignal()
    follower = Follower(
        api_client.storage.feed, attached, signal, holder="test", now_us=api_client.clock
    )
    while await follower.turn():
        pass


async def recorded(api_client: Any) -> Any:
    """Two runs of an agent, one of them in another environment, and one of another agent."""
    staging = (await api_client.post("/environment", {"details": {"name": "Staging"}})).details[
        "id"
    ]
    runs = [
        await api_client.run("active", agent_id="agent-1"),
        await api_client.run("active", agent_id="agent-1", environment_id=staging),
        await api_client.run("active", agent_id="agent-2"),
    ]
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 2_000_000}
    for run in runs:
        await api_client.span(
            run, **NEWS, payload={"model": "large-1"}, result_payload={"usage": usage}
        )
        await api_client.span(run, schema_name="x:tool", status="failed")
        await api_client.span(run, schema_name="x:tool")
    await api_client.post(f"/agent_instance/{runs[0]['id']}/finish", {"status": "failed"})
    await api_client.post(f"/agent_instance/{runs[1]['id']}/finish")
    return staging
