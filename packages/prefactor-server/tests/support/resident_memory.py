"""How much memory a process holds, according to the system."""

import psutil


def resident_megabytes(pid: int) -> float:
    """The resident set of a process."""
    return float(psutil.Process(pid).memory_info().rss) / 1024 / 1024
