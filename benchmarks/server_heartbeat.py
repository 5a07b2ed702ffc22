"""Claim: heartbeats of a thousand open runs cost a server less than twenty reads of one run.

They replace a read of each run, by which agents asked whether it was terminated. One request with
1,000 ids and reads of single runs are sent to one server in turns, and its CPU is compared. Storing
the heartbeats, in one commit every 20 seconds however many came, is not counted.
"""

from __future__ import annotations

import asyncio

from harness import Figure, Rounds, finish, interleave_async
from loadgen import Server, new_run, request, send_all, servers

RUNS = 1_000
HEARTBEATS = 10
READS = 300
ROUNDS = 7
GOAL, GATE = 10.0, 20.0


async def cost(server: Server, requests: list[bytes]) -> float:
    """The CPU seconds of the server for one of some requests, sent one after the other."""
    before = server.cpu_seconds
    await send_all([server.port], [requests])
    return (server.cpu_seconds - before) / len(requests)


async def measure(server: Server) -> Rounds:
    """Rounds of a read of one run (the floor) and a heartbeat of all."""
    run_ids = [await new_run(server.port) for _ in range(RUNS)]
    reads = [request("GET", f"/api/v1/agent_instance/{run_id}") for run_id in run_ids[:READS]]
    beat = request("POST", "/api/v1/agent_instance/heartbeat", {"ids": run_ids})
    return await interleave_async(
        ROUNDS,
        lambda: cost(server, reads),
        lambda: cost(server, [beat] * HEARTBEATS),
    )


def main() -> None:
    """Measure both backends."""
    figures: list[Figure] = []
    for backend in ("sqlite", "postgresql"):
        with servers(backend) as started:
            rounds = asyncio.run(measure(started[0]))
        rounds.describe(f"{backend}: server CPU, heartbeat of {RUNS} runs over a read of one")
        figures.append(
            Figure(
                f"CPU of a heartbeat of {RUNS} runs ÷ a read, {backend}", rounds.ratio, GOAL, GATE
            )
        )
    finish(*figures)


if __name__ == "__main__":
    main()
