"""Checks the consistency of stored data: the part that both backends share.

A backend reads the records below in slices, each from one state of the database, so that the check
can run while servers write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from prefactor_server.payloads import decode_document

RUN_SLICE: Final = 50
ROW_SLICE: Final = 1000

_STATUSES: Final = ("pending", "active", "complete", "failed", "cancelled")
# The JSON of an empty payload, which is not stored.
_EMPTY_SIZE: Final = 2


class Finding(NamedTuple):
    """An inconsistency, and where it is."""

    account_id: str
    kind: str
    id: str
    problem: str

    def __str__(self) -> str:
        """Return the finding as one line."""
        return f"account {self.account_id}: {self.kind} {self.id}: {self.problem}"


class RunRecord(NamedTuple):
    """A run: its stored and counted spans, and which of its references are missing."""

    account_id: str
    id: str
    stored: Sequence[int]
    counted: Sequence[int]
    has_agent: bool
    has_schema_version: bool

    def findings(self) -> Iterator[Finding]:
        """Yield its inconsistencies."""
        for status, stored, counted in zip(_STATUSES, self.stored, self.counted, strict=True):
            if stored != counted:
                yield self._finding(f"counts {stored} {status} spans but has {counted}")
        if not self.has_agent:
            yield self._finding("its agent is missing")
        if not self.has_schema_version:
            yield self._finding("its schema version is missing")

    def _finding(self, problem: str) -> Finding:
        return Finding(self.account_id, "run", self.id, problem)


class SpanRecord(NamedTuple):
    """A span: whether its run exists, and its payloads as stored."""

    account_id: str
    id: str
    has_run: bool
    payload_size: int
    codec: int | None
    body: bytes | None
    result_size: int
    result_codec: int | None
    result_body: bytes | None

    def findings(self) -> Iterator[Finding]:
        """Yield its inconsistencies."""
        if not self.has_run:
            yield self._finding("its run is missing")
        for name, size, codec, body in (
            ("payload", self.payload_size, self.codec, self.body),
            ("result payload", self.result_size, self.result_codec, self.result_body),
        ):
            if codec is not None and body is not None:
                if not _readable(codec, body):
                    yield self._finding(f"its {name} cannot be read")
            elif size > _EMPTY_SIZE:
                yield self._finding(f"its {name} of {size} bytes is missing")

    def _finding(self, problem: str) -> Finding:
        return Finding(self.account_id, "span", self.id, problem)


def _readable(codec: int, body: bytes) -> bool:
    try:
        document = json.loads(decode_document(codec, body))
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict)
