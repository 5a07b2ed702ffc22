"""Claim: importing the client costs little more than importing what it is built on.

Floor: aiohttp, and pydantic with one model. `import pydantic` alone is no floor, because pydantic
loads itself when the first name is taken from it and the rest when the first model is made; the
ratio to it is printed all the same. Every measurement is a fresh interpreter, which reports the
CPU time of its imports alone.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from harness import Figure, finish, interleave

GOAL, GATE = 1.10, 1.2
ROUNDS = 15
FLOOR = """
import aiohttp
from pydantic import BaseModel
class Model(BaseModel, defer_build=True):
    id: str
"""
LAZY_FLOOR = "import aiohttp, pydantic"
SUBJECT = "import prefactor_http"
PROGRAM = """
import time
before = time.process_time()
{statements}
print(time.process_time() - before)
"""


def cost(statements: str) -> float:
    """Return the CPU seconds that a fresh interpreter needs for import statements."""
    command = [sys.executable, "-c", PROGRAM.format(statements=statements)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Import all in turns; the first rounds only write byte code."""
    subject = partial(cost, SUBJECT)
    rounds = interleave(ROUNDS, partial(cost, FLOOR), subject, warm_up=2)
    lazy = interleave(ROUNDS // 2, partial(cost, LAZY_FLOOR), subject)
    lazy.describe("over `import aiohttp, pydantic`", unit="ms")
    rounds.describe("over aiohttp and pydantic with one model", unit="ms")
    finish(Figure("import of the client", rounds.ratio, GOAL, GATE))


if __name__ == "__main__":
    main()
