"""Claim: neither a kill nor a server that hangs loses a span or holds up the end of a program.

* A process finishes 200 spans and is killed with SIGKILL before anything could be delivered (its
  server resets every connection); another process flushes the same spool. Delivered, in percent,
  and how many items arrived twice.
* A process finishes 200 spans, and its server takes the requests and never answers. What its end
  takes above the deadline (2 s), and how many spans are delivered by the next process.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from harness import Figure, companion, finish, first_line

SPANS = 200
ITEMS = SPANS + 3
"""The spans, each as one item, and the run's registration, start and end."""
DEADLINE = 2.0
RECORD = """
import os, signal, sys, time
from prefactor_recorder import Recorder
recorder = Recorder(sys.argv[1], "token", spool_dir=sys.argv[2])
with recorder.run(agent_id="benchmark") as run:
    for number in range(int(sys.argv[3])):
        with run.span("agent:llm", {"number": number, "prompt": "x" * 500}) as span:
            span.set_result({"response": "y" * 500})
if sys.argv[4] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
print(time.time(), flush=True)
"""
FLUSH = """
import sys
from prefactor_recorder import Recorder
left = Recorder(sys.argv[1], "token", spool_dir=sys.argv[2]).flush(60)
sys.exit(f"{left} are left" if left else 0)
"""


def told(responder: subprocess.Popen[str], word: str) -> str:
    """Send the server a command and return its response."""
    assert responder.stdin is not None
    print(word, file=responder.stdin, flush=True)
    return first_line(responder)


def program(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    command = [sys.executable, "-c", source, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def delivered(responder: subprocess.Popen[str], url: str, folder: str) -> dict[str, Any]:
    """Bring the server back, flush the spool from a new process, and count what arrived."""
    told(responder, "up")
    flushed = program(FLUSH, url, folder)
    assert flushed.returncode == 0, flushed.stderr
    counts: dict[str, Any] = json.loads(told(responder, "counts"))
    return counts


def after_a_kill() -> tuple[float, int]:
    """Return the percentage delivered, and the number of duplicates."""
    with companion("bulkresponder.py") as responder, tempfile.TemporaryDirectory() as folder:
        url = first_line(responder)
        told(responder, "down")
        killed = program(RECORD, url, folder, str(SPANS), "kill")
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        counts = delivered(responder, url, folder)
    return 100 * counts["items"] / ITEMS, counts["repeated"]


def after_a_hang() -> tuple[float, float]:
    """Return the seconds by which the end exceeded the deadline, and the percentage delivered."""
    with companion("bulkresponder.py") as responder, tempfile.TemporaryDirectory() as folder:
        url = first_line(responder)
        told(responder, "hang")
        ended = program(RECORD, url, folder, str(SPANS), "end")
        took = time.time() - float(ended.stdout)
        assert ended.returncode == 0, ended.stderr
        counts = delivered(responder, url, folder)
    return took - DEADLINE, 100 * counts["items"] / ITEMS


def main() -> None:
    """Measure both endings."""
    bare = min(_bare_exit() for _ in range(3))
    killed, twice = after_a_kill()
    hung = [after_a_hang() for _ in range(3)]
    late = sorted(seconds for seconds, _ in hung)[1]
    print(f"an interpreter without the recorder takes {bare * 1e3:.0f} ms to end")
    finish(
        Figure("delivered after SIGKILL", killed, 100, 99.999, "%"),
        Figure("of these twice", twice, 0, 0, "items"),
        Figure("end above its deadline, server hangs", round(late * 1e3), 100, 100, "ms"),
        Figure("delivered after that end", min(share for _, share in hung), 100, 99.999, "%"),
    )


def _bare_exit() -> float:
    ended = program("import asyncio, time; print(time.time(), flush=True)")
    return time.time() - float(ended.stdout)


if __name__ == "__main__":
    main()
