"""Claim: recording large payloads does not hold up an event loop.

A task wakes up every 2 ms and notes how late it is, while another one records spans with payloads
of 1 MB as an agent would, twenty a second. The figure is the 99th percentile of the lateness above
that of the same loop without the recorder, measured in turns with it.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time

from harness import Figure, companion, finish, first_line

from prefactor_recorder import Recorder, Run

GOAL, GATE = 1.0, 3.0
ROUNDS, SECONDS = 5, 3.0
TICK, PAUSE = 0.002, 0.05
DOCUMENT = {"document": "The quick brown fox jumps over the lazy dog. " * 21_000}


async def lateness(run: Run | None) -> float:
    """Return the 99th percentile of the lateness of a tick, in milliseconds."""
    late: list[float] = []
    deadline = time.perf_counter() + SECONDS

    async def record() -> None:
        while time.perf_counter() < deadline:
            if run is not None:
                with run.span("agent:read", DOCUMENT) as span:
                    span.set_result({"length": 1})
            await asyncio.sleep(PAUSE)

    recording = asyncio.create_task(record())
    while (now := time.perf_counter()) < deadline:
        await asyncio.sleep(TICK)
        late.append((time.perf_counter() - now - TICK) * 1e3)
    await recording
    return statistics.quantiles(late, n=100)[-1]


async def measure(url: str, folder: str) -> tuple[list[float], list[float]]:
    """Return the lateness without and with recording, round by round."""
    without: list[float] = []
    recording: list[float] = []
    recorder = Recorder(url, "token", spool_dir=folder)
    with recorder.run(agent_id="benchmark") as run:
        await lateness(run)
        for _ in range(ROUNDS):
            without.append(await lateness(None))
            recording.append(await lateness(run))
    await recorder.aclose(30)
    return without, recording


def main() -> None:
    """Measure in turns."""
    with companion("bulkresponder.py") as responder, tempfile.TemporaryDirectory() as folder:
        without, recording = asyncio.run(measure(first_line(responder), folder))
    print(
        f"99th percentile of lateness: {statistics.median(recording):.2f} ms, "
        f"without recording {statistics.median(without):.2f} ms"
    )
    added = statistics.median(b - a for a, b in zip(without, recording, strict=True))
    finish(Figure("event loop held up, p99", round(max(added, 0), 2), GOAL, GATE, "ms"))


if __name__ == "__main__":
    main()
