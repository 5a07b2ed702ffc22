"""Claim: a span costs its caller a few microseconds, on disk too.

A span is begun with a payload and ended with a result, about 1 kB together. What is measured is
the CPU time of the calling thread alone; the delivery thread sends to a server in another process
meanwhile, as it would in a program. The floor is what any recorder has to do: a slotted object, an
id, two clocks and a deque.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import deque
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from harness import Figure, companion, finish, first_line, interleave

from prefactor_recorder import Recorder

if TYPE_CHECKING:
    from prefactor_recorder import Run

ROUNDS, SPANS = 15, 2_000
GOAL_MEMORY, GOAL_DISK = 8.0, 12.0
PAYLOAD = {"model": "m-1", "prompt": "What is the weather like? " * 18, "temperature": 0.3}
RESULT = {
    "response": "It rains, but not for long. " * 16,
    "token_usage": {"prompt_tokens": 120, "completion_tokens": 80, "total_tokens": 200},
}


class Slotted:
    """The smallest possible span."""

    __slots__ = ("began", "elapsed", "id")
    id: str
    began: int
    elapsed: int


def floor(kept: deque[Slotted], bits: Random) -> float:
    """Return the CPU seconds of the floor, in this thread."""
    before = time.thread_time()
    for _ in range(SPANS):
        span = Slotted()
        span.id = f"{bits.getrandbits(128):032x}"
        span.began = time.time_ns()
        span.elapsed = time.monotonic_ns()
        kept.append(span)
    return time.thread_time() - before


def record(run: Run) -> float:
    """Return the CPU seconds of recording the same number of spans, in this thread."""
    before = time.thread_time()
    for _ in range(SPANS):
        with run.span("agent:llm", PAYLOAD) as span:
            span.set_result(RESULT)
    return time.thread_time() - before


def microseconds(url: str, durability: str, folder: str) -> float:
    """Return the CPU microseconds of one span: the median of the rounds."""
    recorder = Recorder(url, "token", durability=durability, spool_dir=folder)  # type: ignore[arg-type]
    with recorder, recorder.run(agent_id="benchmark") as run:
        rounds = interleave(
            ROUNDS, partial(floor, deque(maxlen=SPANS), Random()), partial(record, run), warm_up=2
        )
        recorder.flush(60)
    assert recorder.stats().dropped == 0
    rounds.describe(f"span on the caller, {durability}", per=SPANS)
    return round(statistics.median(rounds.subject) / SPANS * 1e6, 1)


def main() -> None:
    """Measure both durabilities."""
    with companion("bulkresponder.py") as responder, tempfile.TemporaryDirectory() as folder:
        url = first_line(responder)
        memory = microseconds(url, "memory", folder)
        disk = microseconds(url, "disk", folder)
    finish(
        Figure("span on the caller, in memory", memory, GOAL_MEMORY, 2 * GOAL_MEMORY, "µs"),
        Figure("span on the caller, with the spool", disk, GOAL_DISK, 2 * GOAL_DISK, "µs"),
    )


if __name__ == "__main__":
    main()
