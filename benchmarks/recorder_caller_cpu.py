"""Claim: a span costs its caller a small multiple of writing it down, on disk too.

A span is begun with a payload and ended with a result, about 1 kB together. What is measured is
the CPU time of the calling thread alone; the delivery thread sends to a server in another process
meanwhile, as it would in a program. The floor is what any recorder has to do that keeps a span
through a crash: encode the same two records with orjson, ids and times included, and append each
to a file with a system call. In the end every span must have been delivered, so that nothing counts
that was not recorded.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from harness import Figure, companion, finish, first_line, interleave

from prefactor_recorder import Recorder

if TYPE_CHECKING:
    import subprocess

    from harness import Rounds

    from prefactor_recorder import Run

ROUNDS, WARM_UP, SPANS = 15, 2, 2_000
RECORDED = (ROUNDS + WARM_UP) * SPANS
# Of a run: its registration, its start and its end. Of a span: its begin and its end.
OPERATIONS = 3 + 2 * RECORDED
GOAL_MEMORY, GOAL_DISK = 8.0, 12.0
PAYLOAD = {"model": "m-1", "prompt": "What is the weather like? " * 18, "temperature": 0.3}
RESULT = {
    "response": "It rains, but not for long. " * 16,
    "token_usage": {"prompt_tokens": 120, "completion_tokens": 80, "total_tokens": 200},
}
IDS = {"run": "0" * 32, "id": "1" * 32}
BEGIN = IDS | {
    "agent_instance_id": "0" * 32,
    "parent_span_id": None,
    "schema_name": "agent:llm",
    "started_at": "2026-01-31T09:30:00.000000Z",
    "payload": PAYLOAD,
}
END = IDS | {
    "timestamp": "2026-01-31T09:30:00.000000Z",
    "status": "complete",
    "result_payload": RESULT,
}


def floor(descriptor: int) -> float:
    """Return the CPU seconds of encoding and writing the same, in this thread."""
    before = time.thread_time()
    for _ in range(SPANS):
        os.write(descriptor, orjson.dumps(BEGIN))
        os.write(descriptor, orjson.dumps(END))
    return time.thread_time() - before


def record(run: Run) -> float:
    """Return the CPU seconds of recording the same number of spans, in this thread."""
    before = time.thread_time()
    for _ in range(SPANS):
        with run.span("agent:llm", PAYLOAD) as span:
            span.set_result(RESULT)
    return time.thread_time() - before


def measure(url: str, durability: str, folder: str) -> Rounds:
    """Measure one durability, and assert that the server accepted all that was recorded."""
    recorder = Recorder(url, "token", durability=durability, spool_dir=folder)  # type: ignore[arg-type]
    written = os.open(Path(folder) / f"floor-{durability}", os.O_CREAT | os.O_RDWR | os.O_APPEND)
    try:
        with recorder:
            with recorder.run(agent_id="benchmark") as run:
                rounds = interleave(
                    ROUNDS, partial(floor, written), partial(record, run), warm_up=WARM_UP
                )
            assert recorder.flush(120) == 0, recorder.stats()
            stats = recorder.stats()
    finally:
        os.close(written)
    assert (stats.delivered, stats.dropped, stats.failures) == (OPERATIONS, 0, 0), stats
    assert stats.durability == durability, stats
    rounds.describe(f"span on the caller, {durability}", per=SPANS)
    return rounds


def items(responder: subprocess.Popen[str]) -> int:
    """Return how many items the server was sent, by their keys."""
    assert responder.stdin is not None
    print("counts", file=responder.stdin, flush=True)
    return int(json.loads(first_line(responder))["items"])


def microseconds(rounds: Rounds) -> float:
    """Return the CPU microseconds of one span: the median of the rounds."""
    return round(statistics.median(rounds.subject) / SPANS * 1e6, 1)


def main() -> None:
    """Measure both durabilities."""
    with companion("bulkresponder.py") as responder, tempfile.TemporaryDirectory() as folder:
        url = first_line(responder)
        memory = measure(url, "memory", folder)
        disk = measure(url, "disk", folder)
        # A span's begin and end may have been sent as one item.
        assert items(responder) >= 2 * RECORDED
    finish(
        Figure("span on the caller, with the spool ÷ encoding and writing", disk.ratio, 3, 4),
        Figure("span on the caller, in memory ÷ encoding and writing", memory.ratio, 2, 3),
        Figure(
            "span on the caller, in memory",
            microseconds(memory),
            GOAL_MEMORY,
            2 * GOAL_MEMORY,
            "µs",
        ),
        Figure(
            "span on the caller, with the spool", microseconds(disk), GOAL_DISK, 2 * GOAL_DISK, "µs"
        ),
    )


if __name__ == "__main__":
    main()
