"""Series count each run with its current end, even if that replaced an earlier one."""

from typing import Any

from otlp_request import AGENT, CHAT, START, TOOL, export, failed, runs, span
from recorded_series import follow

from prefactor_server.upkeep.silent_traces import end_some

MINUTE_US = 60_000_000
RANGE = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T03:00:00Z"}
HOUR_LATER = {"startTimeUnixNano": str(START), "endTimeUnixNano": str(START + 4000 * 10**9)}


async def _end_silent(api_client: Any) -> None:
    api_client.clock.leap(seconds=3601)
    await end_some(
        api_client.storage.maintenance,
        api_client.writer,
        idle_us=60 * MINUTE_US,
        now=api_client.clock(),
    )


async def _series(api_client: Any) -> Any:
    """Return the agent's series once the follower has caught up."""
    await follow(api_client)
    found = (await api_client.get("/agent/support/series", RANGE)).details["runs"]
    return {
        "complete": found["complete"],
        "failed": found["failed"],
        "measured": found["durations"]["measured"],
        "p50": found["durations"]["p50"],
    }


async def test_a_series_has_the_end_that_replaced_a_provisional_one(api_client: Any) -> None:
    """A run ended by silence moves to the hour and the status of its late root."""
    await export(api_client, [span(2, 1, CHAT)])
    await _end_silent(api_client)
    silent = await _series(api_client)
    await export(api_client, [span(1, None, AGENT, **HOUR_LATER, **failed("boom"))])
    ended = await _series(api_client)

    assert (silent["complete"], silent["failed"]) == ([1, 0, 0], [0, 0, 0])
    assert silent["measured"] == [1, 0, 0]
    assert (ended["complete"], ended["failed"]) == ([0, 0, 0], [0, 1, 0])
    assert ended["measured"] == [0, 1, 0]
    assert abs(ended["p50"][1] - 4_000_000) < 80_000


async def test_a_series_has_the_last_of_several_ends(api_client: Any) -> None:
    """A run with several roots is counted once, with the worst status and the latest end."""
    await export(api_client, [span(1, None, AGENT), span(2, 1, TOOL)])
    first = await _series(api_client)
    await export(api_client, [span(3, None, AGENT, **failed("boom"))])
    second = await _series(api_client)
    await export(api_client, [span(4, None, AGENT, **HOUR_LATER)])
    third = await _series(api_client)
    (run,) = await runs(api_client)

    assert (first["complete"], first["failed"]) == ([1, 0, 0], [0, 0, 0])
    assert (second["complete"], second["failed"]) == ([0, 0, 0], [1, 0, 0])
    assert (third["complete"], third["failed"]) == ([0, 0, 0], [0, 1, 0])
    assert (run["status"], run["finished_at"]) == ("failed", "2026-01-01T01:06:40.000000Z")


async def test_a_series_has_the_termination_of_a_silent_run(api_client: Any) -> None:
    """A run that was ended by silence and then terminated is counted as terminated only."""
    await export(api_client, [span(2, 1, CHAT)])
    await _end_silent(api_client)
    await follow(api_client)
    (run,) = await runs(api_client)
    await api_client.post(f"/agent_instance/{run['id']}/terminate", {"reason": "stop"})
    await follow(api_client)
    found = (await api_client.get("/agent/support/series", RANGE)).details["runs"]

    assert sum(found["complete"]) == 0
    assert sum(found["durations"]["measured"]) == sum(found["terminated"]) == 1
