"""How long a test waits for an event that comes at once unless the product hangs."""

import os

SPARE = 2.0


def patience(seconds: float) -> float:
    """A limit that fits the machine as it is now.

    It is twice what an idle machine would be given, and longer by as much as there are more
    processes that want to run than cores to run them. No test passes or fails by its speed.
    """
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    return seconds * SPARE * max(1.0, waiting)
