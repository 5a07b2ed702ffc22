"""Claim: importing the client costs little more than importing aiohttp and pydantic.

Every measurement is a fresh interpreter, which reports the CPU time of its imports alone.
"""

from __future__ import annotations

import subprocess
import sys

from harness import Figure, finish, interleave

GOAL, GATE = 1.10, 1.2
ROUNDS = 15
PROGRAM = """
import time
before = time.process_time()
import {modules}
print(time.process_time() - before)
"""


def cost(modules: str) -> float:
    """Return the CPU seconds that a fresh interpreter needs to import `modules`."""
    command = [sys.executable, "-c", PROGRAM.format(modules=modules)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Import both in turns; the first round only writes byte code."""
    rounds = interleave(
        ROUNDS, lambda: cost("aiohttp, pydantic"), lambda: cost("prefactor_http"), warm_up=2
    )
    rounds.describe("import", unit="ms")
    finish(Figure("import of the client", rounds.ratio, GOAL, GATE))


if __name__ == "__main__":
    main()
