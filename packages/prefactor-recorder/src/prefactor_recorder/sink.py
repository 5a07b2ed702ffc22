"""What every run and span of a recorder writes through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import orjson

from prefactor_recorder.corrections import schema_name
from prefactor_recorder.encoding.record import encode
from prefactor_recorder.encoding.values import encode_object
from prefactor_recorder.guard import failures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prefactor_recorder.encoding.clock import Clock
    from prefactor_recorder.encoding.ids import IdGenerator
    from prefactor_recorder.encoding.record import Operation
    from prefactor_recorder.journal.base import Journal

    Redact = Callable[[str, dict[str, Any]], Mapping[str, Any]]


class Deliverer(Protocol):
    """What a recorder needs of the delivery that empties its journal."""

    idle: bool
    """Whether it waits to be woken."""

    def wake(self) -> None:
        """Start, or start again: there is something to deliver. Does not wait for anything."""
        ...


class Sink:
    """Journal, clock and ids of one recorder; the rest of the package meets them here.

    Args:
        journal: Keeps the records.
        deliverer: Is woken when there is something to deliver; None delivers nothing.
        clock: Tells the time.
        ids: Makes ids.
        limit: Bytes that one payload may have; a larger one is cut at its largest fields.
        redact: Called with schema name and payload before anything is kept of it.
    """

    __slots__ = ("_append", "_names", "_redact", "clock", "deliverer", "ids", "journal", "limit")

    def __init__(
        self,
        *,
        journal: Journal,
        deliverer: Deliverer | None,
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
        self._append = journal.append
        self._redact = redact
        self._names: dict[str, bytes] = {}

    def write(self, operation: Operation, run: bytes, identifier: bytes, body: bytes) -> bool:
        """Record an operation; whether there was room for it."""
        kept = self._append(encode(operation, run, identifier, body))
        deliverer = self.deliverer
        if deliverer is not None and deliverer.idle:
            deliverer.wake()
        return kept

    def payload(self, schema_name: str, value: Any) -> bytes:
        """A payload as the JSON object that is kept of it."""
        if self._redact is not None and value is not None:
            return self._redacted(self._redact, schema_name, value)
        return encode_object(value, self.limit)

    def _redacted(self, redact: Redact, schema_name: str, value: Any) -> bytes:
        """What the host's callback leaves of a payload.

        It gets a copy, made of JSON values only: it may change what it likes. When it fails,
        nothing of the payload is kept, because nobody knows what it would have removed.
        """
        try:
            copy = orjson.loads(encode_object(value, REDACTION_FACTOR * self.limit))
            return encode_object(redact(schema_name, copy), self.limit)
        except Exception as error:  # noqa: BLE001 - the host's code; recording goes on without
            failures.note("redact", error)
            return b'{"prefactor.redaction_failed":true}'

    def name(self, name: object, agent: object) -> bytes:
        """A schema name as JSON text; there are few, and each is used often."""
        known = self._names.get(name) if type(name) is str else None
        if known is None:
            text = schema_name(name, agent)
            known = orjson.dumps(text)
            # One that had to be corrected is counted each time.
            if text == name and len(self._names) < MAX_NAMES:
                self._names[text] = known
        return known


REDACTION_FACTOR = 4
"""How many times the limit a payload may have before it is redacted. It is cut to the limit behind
the callback, which could not recognise half of what it removes."""
MAX_NAMES = 10_000
"""Schema names whose JSON text is kept; a host that makes up names must not fill the memory."""
