"""Claim: importing the recorder loads neither the HTTP client nor pydantic.

The figure is what `import prefactor_recorder` costs above `import asyncio`, in CPU time of a fresh
interpreter; the floor is measured in turns with it.
"""

from __future__ import annotations

import statistics
from functools import partial

from client_import import cost
from harness import Figure, finish, interleave

GOAL, GATE = 40.0, 80.0
ROUNDS = 15


def main() -> None:
    """Import both in turns; the first rounds only write byte code."""
    rounds = interleave(
        ROUNDS,
        partial(cost, "import asyncio"),
        partial(cost, "import prefactor_recorder"),
        warm_up=2,
    )
    rounds.describe("import, over `import asyncio`", unit="ms")
    pairs = zip(rounds.subject, rounds.floor, strict=True)
    above = statistics.median(subject - floor for subject, floor in pairs) * 1e3
    finish(Figure("import of the recorder above asyncio", round(above, 1), GOAL, GATE, "ms"))


if __name__ == "__main__":
    main()
