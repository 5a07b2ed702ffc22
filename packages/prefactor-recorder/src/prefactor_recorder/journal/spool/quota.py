"""How many bytes may still be recorded."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from prefactor_recorder.encoding.record import FRAME_SIZE, MAX_RECORD, Operation

if TYPE_CHECKING:
    from pathlib import Path

RESERVE = 20
"""One part in so many is kept for what ends something that was recorded already."""
_ENDINGS = frozenset({Operation.FINISH, Operation.FINISH_SPAN})


def is_ending(record: bytes) -> bool:
    """Whether an encoded record ends something that began before it."""
    return record[FRAME_SIZE] in _ENDINGS


def fits(record: bytes, used: int, limit: int) -> bool:
    """Whether there is room for a record.

    A beginning without its end says less than nothing: it looks as if it were still going on. So
    the last of the room is for ends. What no reader would believe to be a record is none.
    """
    if len(record) > FRAME_SIZE + MAX_RECORD:
        return False
    return used + len(record) <= (limit if is_ending(record) else limit - limit // RESERVE)


def bytes_of_others(directory: Path, process: str | None) -> int:
    """What the files of other processes take in a directory, in bytes."""
    total = 0
    with contextlib.suppress(OSError), os.scandir(directory) as files:
        for file in files:
            # A dead letter of one's own counts here: only segments are counted while writing.
            if process and file.name.startswith(f"{process}-") and file.name.endswith(".seg"):
                continue
            with contextlib.suppress(OSError):
                total += file.stat(follow_symlinks=False).st_size
    return total
