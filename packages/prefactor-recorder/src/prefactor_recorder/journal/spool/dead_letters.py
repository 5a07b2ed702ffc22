"""Dead letters: what no server will ever take, with what it said, as lines of JSON."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from prefactor_recorder.encoding.record import Operation, Record, is_id
from prefactor_recorder.journal.spool.paths import append_file, create_file, is_regular, read_file
from prefactor_recorder.journal.spool.process_lock import is_at, lock_file

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime
    from pathlib import Path

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
    with _locked(path) as descriptor:
        size = os.fstat(descriptor).st_size
        if size + len(letter) > limit:
            raise OSError(f"{path} is as large as dead letters may get")
        if os.write(descriptor, letter) != len(letter):
            os.ftruncate(descriptor, size)
            raise OSError("the disk is full")


@contextlib.contextmanager
def _locked(path: Path) -> Generator[int]:
    """The file of dead letters, open to append to, while nobody else changes it.

    `retry` takes letters out of it while the process that they belong to may add others.

    Raises:
        OSError: It cannot be opened or locked.
    """
    while True:
        descriptor = append_file(path)
        try:
            lock_file(descriptor)
            if is_at(path, descriptor):
                yield descriptor
                return
            # Somebody deleted it while we waited for the lock.
        finally:
            os.close(descriptor)


def take_letters(path: Path, put_back: Callable[[list[Letter]], set[str]]) -> None:
    """Have letters put back, and delete those that were.

    What is put back is kept elsewhere before it is deleted here. A crash in between leaves it in
    both places, and it is delivered once all the same, under the same keys.

    Args:
        path: The file.
        put_back: Gets all letters; returns the ids of those that it has put back.

    Raises:
        OSError: The file cannot be read or changed; nothing is lost.
    """
    with _locked(path):
        lines = read_file(path).splitlines(keepends=True)
        done = put_back([letter for line in lines if (letter := decode_letter(line))])
        kept = [line for line in lines if letter_id(line) not in done]
        if not kept:
            path.unlink()
        elif len(kept) < len(lines):
            _replace(path, b"".join(kept))


def _replace(path: Path, content: bytes) -> None:
    """Replace what is in the file, or leave it as it was."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    other = create_file(temporary)
    try:
        lock_file(other)  # whoever opens it under its new name waits as well
        with os.fdopen(os.dup(other), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        os.close(other)


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


class Letter(NamedTuple):
    """A dead letter."""

    id: str
    """What it is called on the command line: a digest of its line."""
    content: dict[str, Any]
    """The line: `time`, `refusal` and `record`."""

    @property
    def record(self) -> Record | None:
        """The record as it was; None if the letter was not written by this package."""
        match self.content.get("record"):
            case {
                "operation": str(operation),
                "run_id": str(run_id),
                "id": str(identifier),
                "body": str(body),
            } if operation in _OPERATIONS and is_id(run_id) and is_id(identifier):
                return Record(_OPERATIONS[operation], run_id, identifier, body.encode())
            case _:
                return None


_OPERATIONS = {operation.type: operation for operation in Operation}


def letter_id(line: bytes) -> str:
    """What a letter is called on the command line."""
    return hashlib.sha256(line.strip()).hexdigest()[:12]


def decode_letter(line: bytes) -> Letter | None:
    """The letter of a line; None if it is not one, such as what a crash has left of one."""
    try:
        content: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return Letter(letter_id(line), content) if isinstance(content, dict) else None


def read_letters(path: Path) -> list[Letter]:
    """The letters of a file.

    Raises:
        OSError: The file cannot be read.
    """
    return [letter for line in read_file(path).splitlines() if (letter := decode_letter(line))]
