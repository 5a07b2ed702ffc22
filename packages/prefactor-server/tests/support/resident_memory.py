"""How much memory a process holds, according to the system."""

from pathlib import Path

import psutil


def resident_megabytes(pid: int) -> float:
    """The resident set of a process."""
    return float(psutil.Process(pid).memory_info().rss) / 1024 / 1024


def peak_megabytes(pid: int) -> float:
    """The largest resident set that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    row = next(row for row in status.splitlines() if row.startswith("VmHWM:"))
    return float(row.split()[1]) / 1024
