"""How long a test waits for an event that comes at once unless the product hangs."""

import os

SPARE = 2.0


def patience(seconds: float) -> float:
    """Return a limit that fits the current load of the machine.

    It is twice the limit of an idle machine, and longer in proportion to the number of processes
    that want to run per core. No test passes or fails by its speed.
    """
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    return seconds * SPARE * max(1.0, waiting)
