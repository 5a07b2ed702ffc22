"""End processes and remove folders when the process that names them is gone.

Reads lines from standard input: `+kill PGID`, `+quit PGID`, `+folder PATH`, and `- NAME` to forget
one that has ended. Acts when the input ends.
"""

import os
import shutil
import signal
import sys
import time

PATIENCE = 5.0
"""Seconds that a process gets to end before it is killed."""


def main() -> None:
    """Remember until the input ends, then act."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    known: dict[str, str] = {}
    for line in sys.stdin:
        what, _, name = line.rstrip("\n").partition(" ")
        if what == "-":
            known.pop(name, None)
        else:
            known[name] = what
    asked = [int(name) for name, what in known.items() if what == "+quit"]
    killed = [int(name) for name, what in known.items() if what == "+kill"]
    for group in asked:
        send(group, signal.SIGQUIT)
    for group in killed:
        send(group, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and any(send(group, 0) for group in asked):
        time.sleep(0.02)
    for group in asked:
        send(group, signal.SIGKILL)
    for folder in [name for name, what in known.items() if what == "+folder"]:
        shutil.rmtree(folder, ignore_errors=True)


def send(group: int, number: int) -> bool:
    """Signal a group; return whether it exists."""
    try:
        os.killpg(group, number)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
