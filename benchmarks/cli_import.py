"""Claim: the command line starts in a small multiple of what Python itself takes to start.

The first figure is the CPU time of `prefactor runs --help`, which loads the parser, what draws
help, and no client, over `python -c pass`, each a process of its own. The second is what a command
that talks to a server loads: aiohttp, pydantic and the client's models are most of it.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from harness import Figure, finish, interleave

HELP_GOAL, HELP_GATE = 16.0, 24.0
COMMAND_GOAL, COMMAND_GATE = 40.0, 55.0
ROUNDS = 15
PREFACTOR = Path(sys.executable).with_name("prefactor")
LOADED = "import prefactor_cli.main, prefactor_cli.commands.run_list"


def cost(*command: str | Path) -> float:
    """Return the CPU seconds of a whole process, its output thrown away."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, nowhere, 1)]
        child = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
        _, status, usage = os.wait4(child, 0)
    finally:
        os.close(nowhere)
    assert status == 0
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Start all in turns; the first rounds only write byte code."""
    floor = partial(cost, sys.executable, "-c", "pass")
    loaded = interleave(ROUNDS, floor, partial(cost, sys.executable, "-c", LOADED), warm_up=2)
    rounds = interleave(ROUNDS, floor, partial(cost, PREFACTOR, "runs", "--help"), warm_up=2)
    loaded.describe("what `runs list` loads, over `python -c pass`", unit="ms")
    rounds.describe("`prefactor runs --help`, over `python -c pass`", unit="ms")
    finish(
        Figure("help of the command line", rounds.ratio, HELP_GOAL, HELP_GATE),
        Figure("imports of a command", loaded.ratio, COMMAND_GOAL, COMMAND_GATE),
    )


if __name__ == "__main__":
    main()
