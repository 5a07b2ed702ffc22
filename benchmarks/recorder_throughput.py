"""Claim: one process delivers more spans than any agent makes.

The process records spans of about 1 kB as fast as it can, in sixteen runs, to a server in another
process that answers at once, and waits until all is delivered. Spans per second of wall clock, and
the CPU time of one span, from the call to the acknowledged answer; the floor beside it is the cost
of recording alone. The server reports what arrived, so that nothing counts that did not.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time

from harness import Figure, companion, finish, first_line
from recorder_caller_cpu import PAYLOAD, RESULT

from prefactor_recorder import Recorder

GOAL, GATE = 25_000, 12_000
ROUNDS, RUNS, SPANS = 5, 16, 40_000


def one_round(url: str) -> tuple[float, float, float]:
    """Return spans per second, CPU µs of a span in total, and CPU µs of recording it."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(url, "token", spool_dir=folder)
        with recorder:
            with recorder.run(agent_id="benchmark"):
                pass
            recorder.flush(60)  # the client has been loaded, the connection is open
            began, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
            for _ in range(RUNS):
                with recorder.run(agent_id="benchmark") as run:
                    for _ in range(SPANS // RUNS):
                        with run.span("agent:llm", PAYLOAD) as span:
                            span.set_result(RESULT)
            own = time.thread_time() - own
            left = recorder.flush(120)
            took, cpu = time.perf_counter() - began, time.process_time() - cpu
            assert left == 0, recorder.stats()
    return SPANS / took, cpu / SPANS * 1e6, own / SPANS * 1e6


def main() -> None:
    """Measure, and check with the server."""
    with companion("bulkresponder.py") as responder:
        url = first_line(responder)
        rates, costs, recording = zip(*(one_round(url) for _ in range(ROUNDS)), strict=True)
        assert responder.stdin is not None
        print("counts", file=responder.stdin, flush=True)
        counts = json.loads(first_line(responder))
    assert counts["items"] >= ROUNDS * SPANS, counts
    assert counts["repeated"] == 0, counts
    whole, own = statistics.median(costs), statistics.median(recording)
    print(
        f"one span: {whole:.1f} µs CPU, of which {own:.1f} µs recording; "
        f"{counts['requests']} requests in all"
    )
    finish(
        Figure("spans delivered by one process", round(statistics.median(rates)), GOAL, GATE, "/s")
    )


if __name__ == "__main__":
    main()
