"""A program that records until it is stopped, and keeps a ledger of what it may rely on.

Usage: recording_program.py LEDGER [SPANS] [fork|steps]. The address, the token and the spool come
from the environment. A line of the ledger is written with one `write()` after its call has
returned, so the call of every line was recorded:

    run <run id>
    begun <run id> <span id> <number>
    ended <run id> <span id> <number>

With SPANS it ends by itself, without it records until it is killed. `fork` forks in the middle of
a run: parent and child each go on with a run of their own. `steps` waits for a line on standard
input before each span.
"""

import os
import sys
import time
from pathlib import Path

from prefactor_recorder import Recorder, Run


def main(ledger: str, spans: str = "0", mode: str = "") -> None:
    """Record."""
    book = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(*words: object) -> None:
        os.write(book, (" ".join(map(str, words)) + "\n").encode())

    recorder = Recorder()
    with recorder.run(agent_id="recording-program", version="1.0.0") as run:
        note("run", run.id)
        record(run, note, int(spans), mode)
        if mode == "fork" and os.fork() == 0:
            with recorder.run(agent_id="recording-program", version="1.0.0") as own:
                note("run", own.id)
                record(own, note, int(spans), "")
            recorder.flush(30)
            os._exit(0)
        if mode == "fork":
            record(run, note, int(spans), "")
            os.wait()


def record(run: Run, note: object, spans: int, mode: str) -> None:
    """Record `spans` spans, or record endlessly."""
    number = 0
    while not spans or number < spans:
        if mode == "steps" and not sys.stdin.readline():
            return
        payload = {"number": number, "prompt": "something to say " * (number % 60)}
        with run.span("program:step", payload) as span:
            note("begun", run.id, span.id, number)  # type: ignore[operator]
            span.set_result({"response": "something to answer " * (number % 40)})
        note("ended", run.id, span.id, number)  # type: ignore[operator]
        number += 1
        time.sleep(0.0003)  # shorter than any agent's step


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(*sys.argv[1:])
