"""One recorded operation: its format in the spool, and the part that is sent.

A record is one line of the run's story: the run was registered, a span began, a span ended. In the
spool it is

    length u32 | crc32 u32 | operation u8 | run length u8 | id length u8 | run | id | body

with little-endian numbers, the CRC over everything behind it, and the length counting the same
bytes. `run` names the queue in which order is kept, `operation` and `id` make the idempotency key:
a process that reads the record again after a crash arrives at the same key.

The body is a *fragment* of the JSON object that is sent: its members without the braces. Joining
two records (a span's create and its finish) and wrapping one as an item of a bulk request are then
concatenations of bytes; nothing that was written is ever parsed again.
"""

from __future__ import annotations

import enum
import re
from struct import Struct
from typing import NamedTuple
from zlib import crc32

MAX_ID = 64
"""Characters of the longest id that the API knows."""
_ID = re.compile(rf"[A-Za-z0-9_.:-]{{1,{MAX_ID}}}")
MIN_KEY = 8
"""Characters of the shortest key that a bulk request takes."""
MAX_KEY = 64
"""Characters of the longest idempotency key that every server takes."""
TIMESTAMP_LENGTH = 29
"""Bytes of a timestamp in a body, quotes included: `"2026-01-31T09:30:00.000000Z"`."""
START_LENGTH = len('"timestamp":') + TIMESTAMP_LENGTH
"""Bytes of the timestamp that the body of a start begins with, its name included."""

_FRAME = Struct("<II")
_HEAD = Struct("<BBB")
_pack_frame, _pack_head = _FRAME.pack, _HEAD.pack
FRAME_SIZE = _FRAME.size
"""Bytes of the length and the CRC in front of a record."""
MAX_RECORD = 64 * 1024 * 1024
"""Bytes beyond which a length cannot be true, so that a flipped bit does not ask for gigabytes."""


class Operation(enum.IntEnum):
    """The kind of a record. The numbers are on disk: never reuse one."""

    REGISTER = 1
    """A run came into being."""
    START = 2
    """A run started. Its body begins with `START_LENGTH` bytes that are sent; behind them stands
    what was said of the run when it was registered."""
    FINISH = 3
    """A run ended."""
    CREATE_SPAN = 4
    """A span began."""
    FINISH_SPAN = 5
    """A span ended. Its body begins with the quoted timestamp of the end."""

    @property
    def type(self) -> str:
        """The `_type` of the bulk item."""
        return _TYPES[self]


_TYPES = {
    Operation.REGISTER: "agent_instances/register",
    Operation.START: "agent_instances/start",
    Operation.FINISH: "agent_instances/finish",
    Operation.CREATE_SPAN: "agent_spans/create",
    Operation.FINISH_SPAN: "agent_spans/finish",
}


class Record(NamedTuple):
    """One operation as it was recorded."""

    operation: Operation
    """What happened."""
    run_id: str
    """The run it belongs to, which is its queue."""
    id: str
    """The span, or the run itself."""
    body: bytes
    """Members of a JSON object, without the braces; see each operation."""

    @property
    def key(self) -> str:
        """The idempotency key, the same for every attempt and every process that sends it."""
        return idempotency_key(self.operation, self.id)


def is_id(text: str) -> bool:
    """Whether a text can be the id of a run or a span."""
    return _ID.fullmatch(text) is not None


def idempotency_key(operation: Operation, identifier: str) -> str:
    """The key of an operation on one span or run: `MIN_KEY` to `MAX_KEY` characters.

    An id of the usual length keeps the key readable; one that would make it too long is hashed.
    """
    verb = operation.type.rpartition("/")[2]
    key = f"{identifier}-{verb}"
    if MIN_KEY <= len(key) <= MAX_KEY:
        return key
    import hashlib  # noqa: PLC0415 - for ids that we do not make

    return f"{hashlib.sha256(identifier.encode()).hexdigest()[:48]}-{verb}"


def encode(operation: Operation, run_id: bytes, identifier: bytes, body: bytes) -> bytes:
    """A record as bytes for one `write()`; ids are ASCII, at most `MAX_ID` long."""
    content = _pack_head(operation, len(run_id), len(identifier)) + run_id + identifier + body
    return _pack_frame(len(content), crc32(content)) + content


def decode(content: bytes) -> Record | None:
    """Decode a frame whose CRC matched. Return None if it still isn't a valid record.

    A CRC collides once in four billion, and files live longer than versions: an operation that
    this version does not know, lengths that do not fit and ids that are not ASCII are refused.
    """
    if len(content) < _HEAD.size:
        return None
    operation = _OPERATIONS.get(content[0])
    run_end = _HEAD.size + content[1]
    id_end = run_end + content[2]
    if operation is None or len(content) < id_end:
        return None
    try:
        run_id = str(content[_HEAD.size : run_end], "ascii")
        identifier = str(content[run_end:id_end], "ascii")
    except UnicodeDecodeError:
        return None
    return Record(operation, run_id, identifier, content[id_end:])


_OPERATIONS = {int(operation): operation for operation in Operation}
