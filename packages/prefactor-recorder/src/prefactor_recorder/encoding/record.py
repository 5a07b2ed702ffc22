"""One recorded operation, its format in the spool, and the part that is sent.

A record says that a run was registered, a span began, a span ended, and so on. In the spool it is

    length u32 | crc32 u32 | operation u8 | run length u8 | id length u8 | run | id | body

with little-endian numbers. CRC and length cover everything after the CRC. Order is kept per `run`.
`operation` and `id` determine the idempotency key, so a process that reads the record again after a
crash uses the same key.

The body is a *fragment* of the JSON object to send: its members without the braces. Joining two
records (a span's create and its finish) and wrapping one as an item of a bulk request only
concatenates bytes. Nothing is parsed again.
"""

from __future__ import annotations

import enum
import re
from struct import Struct
from typing import NamedTuple
from zlib import crc32

MAX_ID = 64
"""Maximum length of an id in characters."""
_ID = re.compile(rf"[A-Za-z0-9_.:-]{{1,{MAX_ID}}}")
MIN_KEY = 8
"""Minimum length of an idempotency key in characters."""
MAX_KEY = 64
"""Maximum length of an idempotency key in characters."""
TIMESTAMP_LENGTH = 29
"""Bytes of a timestamp in a body, including quotes: `"2026-01-31T09:30:00.000000Z"`."""
START_LENGTH = len('"timestamp":') + TIMESTAMP_LENGTH
"""Bytes of the timestamp at the beginning of a start's body, including its name."""

_FRAME = Struct("<II")
_HEAD = Struct("<BBB")
HEAD_SIZE = _HEAD.size
"""Bytes of the operation and the lengths in front of the ids."""
_pack_head = _HEAD.pack
pack_frame = _FRAME.pack
"""Packs the length and the CRC in front of a record."""
FRAME_SIZE = _FRAME.size
"""Bytes of the length and the CRC in front of a record."""
MAX_RECORD = 64 * 1024 * 1024
"""Maximum size of a record in bytes, so that a flipped bit does not allocate gigabytes."""


class Operation(enum.IntEnum):
    """The kind of a record. The numbers are on disk: never reuse one."""

    REGISTER = 1
    """A run was registered."""
    START = 2
    """A run started. `START_LENGTH` bytes of its body are sent; the rest repeats the registration's
    description of the run."""
    FINISH = 3
    """A run ended."""
    CREATE_SPAN = 4
    """A span began."""
    FINISH_SPAN = 5
    """A span ended. Its body begins with the quoted timestamp of the end."""
    SET_METADATA = 6
    """A run's metadata changed. Each change has a separate id, because a run has many."""

    @property
    def type(self) -> str:
        """The `_type` of the bulk item."""
        return _TYPES[self]

    # `Enum.__hash__` is slow Python code, and each record is looked up by its operation.
    __hash__ = int.__hash__


_TYPES = {
    Operation.REGISTER: "agent_instances/register",
    Operation.START: "agent_instances/start",
    Operation.FINISH: "agent_instances/finish",
    Operation.CREATE_SPAN: "agent_spans/create",
    Operation.FINISH_SPAN: "agent_spans/finish",
    Operation.SET_METADATA: "agent_instances/set_metadata",
}
_VERBS = {operation: name.rpartition("/")[2] for operation, name in _TYPES.items()}


class Record(NamedTuple):
    """One recorded operation."""

    operation: Operation
    """The kind of operation."""
    run_id: str
    """The id of the run. Order is kept per run."""
    id: str
    """The id of the span, of the run itself, or of a change of metadata."""
    body: bytes
    """Members of a JSON object, without the braces; see `Operation`."""

    @property
    def key(self) -> str:
        """The idempotency key, equal for every attempt and every process that sends it."""
        return idempotency_key(self.operation, self.id)


def is_id(text: str) -> bool:
    """Whether a text is valid as the id of a run or a span."""
    return _ID.fullmatch(text) is not None


def idempotency_key(operation: Operation, identifier: str) -> str:
    """Return the key of an operation on a span or run: `MIN_KEY` to `MAX_KEY` characters.

    It contains the id, or a hash of an id that is too short or too long.
    """
    verb = _VERBS[operation]
    key = f"{identifier}-{verb}"
    if MIN_KEY <= len(key) <= MAX_KEY:
        return key
    import hashlib  # noqa: PLC0415 - only for ids from elsewhere

    return f"{hashlib.sha256(identifier.encode()).hexdigest()[:48]}-{verb}"


def encode(operation: Operation, run_id: bytes, identifier: bytes, body: bytes) -> bytes:
    """Encode a record as bytes for one `write()`. Ids are ASCII, at most `MAX_ID` long."""
    framed = content(operation, run_id, identifier, body)
    return pack_frame(len(framed), crc32(framed)) + framed


def content(operation: Operation, run_id: bytes, identifier: bytes, body: bytes) -> bytes:
    """Encode a record without its frame."""
    return _pack_head(operation, len(run_id), len(identifier)) + run_id + identifier + body


def head(operation: Operation, run_id: str, id_length: int) -> str:
    """Return what precedes the id in a record, as text, to format it together with the body."""
    return f"{operation:c}{len(run_id):c}{id_length:c}{run_id}"


def decode(data: bytes, start: int = 0, end: int | None = None) -> Record | None:
    """Decode what a frame with a matching CRC holds. Return None if it isn't a valid record.

    Only the ids are decoded. The body stays as it will be sent.

    A CRC collides once in four billion, and files outlive versions. Unknown operations,
    inconsistent lengths and ids that are not ASCII are rejected.
    """
    if end is None:
        end = len(data)
    run_start = start + HEAD_SIZE
    if end < run_start:
        return None
    operation = _OPERATIONS.get(data[start])
    run_end = run_start + data[start + 1]
    id_end = run_end + data[start + 2]
    if operation is None or end < id_end:
        return None
    try:
        run_id = data[run_start:run_end].decode("ascii")
        identifier = data[run_end:id_end].decode("ascii")
    except UnicodeDecodeError:
        return None
    return Record(operation, run_id, identifier, data[id_end:end])


_OPERATIONS = {int(operation): operation for operation in Operation}
