"""Dead letters: what no server will ever take, with what it said, as lines of JSON."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import orjson

from .directory import append_file, is_regular, read_file

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from prefactor_recorder.record import Record

LETTERS = ".dead"


def encode_letter(record: Record, refusal: dict[str, Any], time: datetime) -> bytes:
    """One line: the record with its body as it would have been sent, and why it was not taken."""
    letter = {
        "time": time,
        "refusal": refusal,
        "record": {
            "operation": record.operation.type,
            "run_id": record.run_id,
            "id": record.id,
            "body": record.body.decode("utf-8", "replace"),
        },
    }
    return orjson.dumps(letter, default=repr) + b"\n"


def append_letter(path: Path, letter: bytes, limit: int) -> None:
    """Keep a letter.

    Args:
        path: The file of the process whose record it was.
        letter: The line.
        limit: Bytes that the file may take.

    Raises:
        OSError: It cannot be kept.
    """
    descriptor = append_file(path)
    try:
        size = os.fstat(descriptor).st_size
        if size + len(letter) > limit:
            raise OSError(f"{path} is as large as dead letters may get")
        if os.write(descriptor, letter) != len(letter):
            os.ftruncate(descriptor, size)
            raise OSError("the disk is full")
    finally:
        os.close(descriptor)


def trim_letters(directory: Path, limit: int) -> int:
    """Delete the oldest files of dead letters beyond a limit in bytes; how many.

    Whoever is still writing to one of them begins it anew: the file is opened for each letter.
    """
    found: list[tuple[float, int, Path]] = []
    with contextlib.suppress(OSError):
        for path in directory.glob(f"*{LETTERS}"):
            with contextlib.suppress(OSError):
                status = path.lstat()
                if is_regular(path):
                    found.append((status.st_mtime, status.st_size, path))
    taken = deleted = 0
    for _, size, path in sorted(found, reverse=True):
        taken += size
        if taken > limit:
            with contextlib.suppress(OSError):
                path.unlink()
                deleted += 1
    return deleted


def read_letters(path: Path) -> list[dict[str, Any]]:
    """The letters of a file, without what a crash has left of a line.

    Raises:
        OSError: The file cannot be read.
    """
    letters: list[dict[str, Any]] = []
    for line in read_file(path).splitlines():
        try:
            letters.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            continue
    return letters
