"""Claim: importing the client costs little more than importing aiohttp and pydantic.

The figure is what `import prefactor_http` adds to a program. Neither pydantic nor the client loads
its models before the first one is used, so the cost of a program that does use them is
printed as well, over aiohttp and pydantic with one model. Every measurement is a fresh
interpreter, which reports the CPU time of its imports alone.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from harness import Figure, finish, interleave

GOAL, GATE = 1.10, 1.2
ROUNDS = 15
FLOOR = "import aiohttp, pydantic"
SUBJECT = "import prefactor_http"
FLOOR_IN_USE = """
import aiohttp
from pydantic import BaseModel
class Model(BaseModel, defer_build=True):
    id: str
"""
IN_USE = "from prefactor_http import AgentSpan, PrefactorHttpClient"
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
    in_use = interleave(ROUNDS, partial(cost, FLOOR_IN_USE), partial(cost, IN_USE), warm_up=2)
    rounds = interleave(ROUNDS, partial(cost, FLOOR), partial(cost, SUBJECT))
    in_use.describe("with models, over aiohttp and pydantic with one model", unit="ms")
    rounds.describe("import, over `import aiohttp, pydantic`", unit="ms")
    finish(Figure("import of the client", rounds.ratio, GOAL, GATE))


if __name__ == "__main__":
    main()
