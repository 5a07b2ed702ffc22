"""The disk quota of a spool directory."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from prefactor_recorder.encoding.record import FRAME_SIZE, MAX_RECORD, Operation

if TYPE_CHECKING:
    from pathlib import Path

RESERVE_DIVISOR = 20
"""1/20 of the quota is reserved for records that finish a run or span."""
_FINISHES = frozenset({Operation.FINISH, Operation.FINISH_SPAN})


def is_finish(record: bytes) -> bool:
    """Return whether an encoded record finishes a run or span."""
    return record[FRAME_SIZE] in _FINISHES


def fits(record: bytes, used: int, limit: int) -> bool:
    """Return whether there is room for a record.

    The last part of the quota is reserved for finishes, because a span without its finish looks as
    if it were still running. A record larger than readers accept never fits.
    """
    if len(record) > FRAME_SIZE + MAX_RECORD:
        return False
    return used + len(record) <= (limit if is_finish(record) else limit - limit // RESERVE_DIVISOR)


def other_processes_bytes(directory: Path, process: str | None) -> int:
    """Return the bytes that other processes' files take in a directory."""
    total = 0
    with contextlib.suppress(OSError), os.scandir(directory) as files:
        for file in files:
            # This process's dead letters count here, because the writer counts only segments.
            if process and file.name.startswith(f"{process}-") and file.name.endswith(".seg"):
                continue
            with contextlib.suppress(OSError):
                total += file.stat(follow_symlinks=False).st_size
    return total
