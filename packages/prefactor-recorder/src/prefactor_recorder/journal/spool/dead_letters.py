"""Dead letters: records the server will never accept, with its error, as lines of JSON."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from prefactor_recorder.encoding.record import Operation, Record, is_id
from prefactor_recorder.journal.spool.paths import append_file, create_file, is_regular, read_file
from prefactor_recorder.journal.spool.process_lock import is_same_file, lock_file

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime
    from pathlib import Path

DEAD_LETTERS = ".dead"


def encode_dead_letter(record: Record, refusal: dict[str, Any], time: datetime) -> bytes:
    """Encode a dead letter as one line: the record, with its body as sent, and the error."""
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


def append_dead_letter(path: Path, letter: bytes, limit: int) -> None:
    """Append a dead letter to a file.

    Args:
        path: The file of the process that recorded it.
        letter: The encoded line.
        limit: Maximum bytes of the file.

    Raises:
        OSError: It cannot be written, or the file is full.
    """
    with _locked(path) as descriptor:
        size = os.fstat(descriptor).st_size
        if size + len(letter) > limit:
            raise OSError(f"{path} has reached the size limit of dead letters")
        if os.write(descriptor, letter) != len(letter):
            os.ftruncate(descriptor, size)
            raise OSError("the disk is full")


@contextlib.contextmanager
def _locked(path: Path) -> Generator[int]:
    """Open a file of dead letters for appending and lock it.

    The lock is needed because `retry` removes letters while their process may append others.

    Raises:
        OSError: The file cannot be opened or locked.
    """
    while True:
        descriptor = append_file(path)
        try:
            lock_file(descriptor)
            if is_same_file(path, descriptor):
                yield descriptor
                return
            # It was deleted while we waited for the lock.
        finally:
            os.close(descriptor)


def take_dead_letters(path: Path, put_back: Callable[[list[DeadLetter]], set[str]]) -> None:
    """Requeue dead letters, and delete those that were requeued.

    Records are written elsewhere before they are deleted here. A crash in between leaves them in
    both places, and idempotency keys keep them from being delivered twice.

    Args:
        path: The file.
        put_back: Receives all letters and returns the ids of those it requeued.

    Raises:
        OSError: The file cannot be read or changed; nothing is lost.
    """
    with _locked(path):
        lines = read_file(path).splitlines(keepends=True)
        done = put_back([letter for line in lines if (letter := decode_dead_letter(line))])
        kept = [line for line in lines if dead_letter_id(line) not in done]
        if not kept:
            path.unlink()
        elif len(kept) < len(lines):
            _replace(path, b"".join(kept))


def _replace(path: Path, content: bytes) -> None:
    """Replace the file's content atomically."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    other = create_file(temporary)
    try:
        lock_file(other)  # others may open it as soon as it is renamed
        with os.fdopen(os.dup(other), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(other)


def trim_dead_letters(directory: Path, limit: int) -> int:
    """Delete the oldest files of dead letters beyond a limit in bytes. Return their number.

    A process that still writes to one of them starts a new file, because it opens the file for
    each letter.
    """
    found: list[tuple[float, int, Path]] = []
    with contextlib.suppress(OSError):
        for path in directory.glob(f"*{DEAD_LETTERS}"):
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


class DeadLetter(NamedTuple):
    """A dead letter."""

    id: str
    """Its id on the command line: a digest of its line."""
    content: dict[str, Any]
    """The line: `time`, `refusal` and `record`."""

    @property
    def record(self) -> Record | None:
        """The record, or None if this package did not write the letter."""
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


def dead_letter_id(line: bytes) -> str:
    """Return the id of a letter from its line."""
    return hashlib.sha256(line.strip()).hexdigest()[:12]


def decode_dead_letter(line: bytes) -> DeadLetter | None:
    """Decode a line. Return None if it is not a letter, as after a crash during a write."""
    try:
        content: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return DeadLetter(dead_letter_id(line), content) if isinstance(content, dict) else None


def read_dead_letters(path: Path) -> list[DeadLetter]:
    """Read all letters of a file.

    Raises:
        OSError: The file cannot be read.
    """
    return [letter for line in read_file(path).splitlines() if (letter := decode_dead_letter(line))]
