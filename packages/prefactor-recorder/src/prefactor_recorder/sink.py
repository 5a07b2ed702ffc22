"""The sink that every run and span of a recorder writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import orjson

from prefactor_recorder.corrections import schema_name
from prefactor_recorder.encoding.record import encode
from prefactor_recorder.encoding.values import encode_object
from prefactor_recorder.guard import failures, not_interrupts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prefactor_recorder.encoding.clock import Clock
    from prefactor_recorder.encoding.ids import IdGenerator
    from prefactor_recorder.encoding.record import Operation
    from prefactor_recorder.journal.base import Journal

    Redact = Callable[[str, dict[str, Any]], Mapping[str, Any]]


class Deliverer(Protocol):
    """The part of `Delivery` that a sink uses."""

    idle: bool
    """Whether it is waiting to be woken."""

    def wake(self) -> None:
        """Start delivering. Returns at once."""
        ...


class Sink:
    """The journal, clock and id generator of one recorder.

    Args:
        journal: Stores the records.
        deliverer: Woken after each write.
        clock: The clock of its runs and spans.
        ids: Generates their ids.
        limit: Maximum size of a payload in bytes. Larger ones are truncated.
        redact: Called with the schema name and the payload before anything is stored.
    """

    __slots__ = ("append", "clock", "deliverer", "ids", "journal", "limit", "names", "redact")

    def __init__(
        self,
        *,
        journal: Journal,
        deliverer: Deliverer,
        clock: Clock,
        ids: IdGenerator,
        limit: int,
        redact: Redact | None,
    ) -> None:
        self.journal = journal
        self.deliverer = deliverer
        self.clock = clock
        self.ids = ids
        self.limit = limit
        self.append = journal.append
        """Appends an encoded record to the journal."""
        self.redact = redact
        self.names: dict[str, str] = {}
        """The members of a span's begin by schema name, because programs use a few names often."""

    def write(self, operation: Operation, run: bytes, identifier: bytes, body: bytes) -> bool:
        """Record an operation. Return False if the journal is full."""
        kept = self.append(encode(operation, run, identifier, body))
        if self.deliverer.idle:
            self.deliverer.wake()
        return kept

    def redacted(self, schema_name: str, value: Any) -> bytes:
        """Encode what the host's callback returns for a copy of the payload.

        The copy consists of JSON values, and the callback may change it. If the callback fails, the
        whole payload is dropped, because nobody knows what it would have removed.
        """
        redact = self.redact
        if redact is None or value is None:
            return encode_object(value, self.limit)
        try:
            copy = orjson.loads(encode_object(value, REDACTION_FACTOR * self.limit))
            return encode_object(redact(schema_name, copy), self.limit)
        except not_interrupts() as error:  # the host's code; recording goes on without
            failures.note("redact", error)
            return b'{"prefactor.redaction_failed":true}'

    def name(self, name: object, agent: object) -> str:
        """Return the members around a schema name, and cache them in `names`."""
        text = schema_name(name, agent)
        members = f',"schema_name":{orjson.dumps(text).decode()},"started_at":'
        # Corrected names are not cached, because every correction is counted.
        if type(name) is str and text == name and len(self.names) < MAX_NAMES:
            self.names[text] = members
        return members


REDACTION_FACTOR = 4
"""How many times larger than the limit a payload may be when it is redacted. It is truncated to the
limit afterwards, because a callback might not recognise a secret that was cut in half."""
MAX_NAMES = 10_000
"""Schema names cached. A host that generates names must not fill the memory."""
