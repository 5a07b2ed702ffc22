"""Claim: an outage costs the host no memory, and its end does not cost the server a storm.

A process records 2,000 spans a second, 1 kB each. After ten seconds the server is gone for sixty
(every connection is reset); then it is back. Resident memory at the end of the outage above that
before it; the busiest five seconds of the recovery over the busiest five steady ones, in requests;
and whether everything arrived, once.
"""

from __future__ import annotations

import gc
import json
import tempfile
import time
from typing import TYPE_CHECKING

import psutil
from harness import Figure, companion, finish, first_line
from recorder_caller_cpu import PAYLOAD, RESULT
from recorder_endings import told

from prefactor_recorder import Recorder

if TYPE_CHECKING:
    import subprocess

    from prefactor_recorder import Run

RATE, STEADY, OUTAGE, RECOVERY = 2_000, 10, 60, 90
SLICE = 0.02
MIB = 1024 * 1024


def one_second(run: Run) -> None:
    """Record a second's spans, spread over the second."""
    began = time.perf_counter()
    for number in range(round(1 / SLICE)):
        for _ in range(round(RATE * SLICE)):
            with run.span("agent:llm", PAYLOAD) as span:
                span.set_result(RESULT)
        time.sleep(max(0.0, began + (number + 1) * SLICE - time.perf_counter()))


def busiest(counts: list[int]) -> int:
    """Return the most requests in five consecutive seconds."""
    return max(sum(counts[first : first + 5]) for first in range(max(len(counts) - 4, 1)))


def requests(responder: subprocess.Popen[str]) -> int:
    """Return the number of requests since the last call."""
    return int(json.loads(told(responder, "counts"))["requests"])


def main() -> None:
    """Go through steady times, outage and recovery."""
    process = psutil.Process()
    with companion("bulkresponder.py") as responder, tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(first_line(responder), "token", spool_dir=folder)
        with recorder.run(agent_id="benchmark") as run:
            steady: list[int] = []
            for _ in range(STEADY):
                one_second(run)
                steady.append(requests(responder))
            gc.collect()
            before = process.memory_info().rss
            told(responder, "down")
            most = before
            for _ in range(OUTAGE):
                one_second(run)
                most = max(most, process.memory_info().rss)
            requests(responder)
            told(responder, "up")
            recovery: list[int] = []
            began = time.perf_counter()
            while recorder.stats().undelivered > RATE and len(recovery) < RECOVERY:
                one_second(run)
                recovery.append(requests(responder))
            took = time.perf_counter() - began
        left = recorder.close(30)
        counts = json.loads(told(responder, "counts"))
    recorded = (STEADY + OUTAGE + len(recovery)) * RATE
    assert left == 0, left
    assert counts["items"] >= recorded, (counts, recorded)
    print(f"{recorded:,} spans; recovery in {took:.0f} s; {counts['repeated']} items sent twice")
    print(f"requests a second: steady {steady}, recovery {recovery}")
    ratio = busiest(recovery) / busiest(steady)
    finish(
        Figure("memory growth in an outage", round((most - before) / MIB, 1), 32, 32, "MiB"),
        Figure("requests at recovery, over steady", ratio, 2, 2),
    )


if __name__ == "__main__":
    main()
