"""A cache of the newest spans and runs, for readers that follow the change feed.

Reading a span back with its payloads costs more than deriving anything from it. A backend with one
writer therefore keeps the newest rows in memory, exactly as they were committed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import repeat
from threading import Lock
from typing import Final, TypeAlias, TypeVar, cast

import msgspec

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import (
    PARAMS,
    RESULT,
    AgentSpan,
    NewSpanPayload,
    SpanPayload,
)
from prefactor_server.payloads import RAW
from prefactor_server.storage.batch import Snapshot

T = TypeVar("T")
Body: TypeAlias = tuple[int, bytes]
_Key: TypeAlias = tuple[str, str]

_MAX_BYTES: Final = 16 * 1024 * 1024
_MAX_RUNS: Final = 2000
# A document up to this size is kept as it is, because decompressing it costs more than reading it.
_MAX_DOCUMENT: Final = 8 * 1024
# The approximate size of a span's columns and of its entry here.
_ROW_BYTES: Final = 2048


class RecentSpan(msgspec.Struct, frozen=True, gc=False):
    """A span with its payloads, each as codec and body, or None."""

    span: AgentSpan
    payload: Body | None
    result: Body | None

    @property
    def size(self) -> int:
        """The approximate size in memory, in bytes."""
        payload = 0 if self.payload is None else len(self.payload[1])
        return _ROW_BYTES + payload + (0 if self.result is None else len(self.result[1]))


class RecentSpans:
    """The newest spans, up to a number of bytes, and runs. Written by one thread, read by any.

    A batch removes the rows it changes before it commits, and adds them again afterwards. A
    reader that knows of the commit therefore never finds a row as it was before.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._spans: OrderedDict[_Key, RecentSpan] = OrderedDict()
        self._bytes = 0
        self._withdrawn: dict[_Key, RecentSpan] = {}
        self._runs: OrderedDict[_Key, AgentInstance] = OrderedDict()

    def clear(self) -> None:
        """Empty the cache, before a commit that changes rows other than through a batch."""
        with self._lock:
            self._spans.clear()
            self._runs.clear()
            self._bytes = 0

    def withdraw(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Remove the rows that a batch changes, before it commits."""
        self._withdrawn = {}
        if any(snapshot.closed_runs for snapshot in snapshots.values()):
            self.clear()
        with self._lock:
            for account_id, snapshot in snapshots.items():
                for run in snapshot.changed(AgentInstance):
                    self._runs.pop((account_id, run.id), None)
                for span in snapshot.changed(AgentSpan):
                    found = self._spans.pop((account_id, span.id), None)
                    if found is not None:
                        self._bytes -= found.size
                        self._withdrawn[account_id, span.id] = found

    def keep(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Add the rows that a batch has committed, after ``withdraw``."""
        for account_id, snapshot in snapshots.items():
            for run in (*snapshot.new(AgentInstance), *snapshot.changed(AgentInstance)):
                self._put_run(account_id, run)
            bodies = {
                (payload.span_id, payload.part): _body(payload) for payload in snapshot.payloads
            }
            for span in snapshot.new(AgentSpan):
                payload, result = bodies.get((span.id, PARAMS)), bodies.get((span.id, RESULT))
                self._put((account_id, span.id), RecentSpan(span, payload, result))
            for span in snapshot.changed(AgentSpan):
                before = self._withdrawn.get((account_id, span.id))
                if before is not None:
                    payload = bodies.get((span.id, PARAMS), before.payload)
                    result = bodies.get((span.id, RESULT), before.result)
                    self._put((account_id, span.id), RecentSpan(span, payload, result))
        self._withdrawn = {}

    def find(
        self, account_id: str, ids: Sequence[str]
    ) -> tuple[Sequence[RecentSpan], Sequence[str]]:
        """Return the cached spans among ``ids``, and the ids of all others."""
        return _found(self._spans, account_id, ids)

    def find_runs(
        self, account_id: str, ids: Sequence[str]
    ) -> tuple[Sequence[AgentInstance], Sequence[str]]:
        """Return the cached runs among ``ids``, and the ids of all others."""
        return _found(self._runs, account_id, ids)

    def _put_run(self, account_id: str, run: AgentInstance) -> None:
        with self._lock:
            self._runs[account_id, run.id] = run
            if len(self._runs) > _MAX_RUNS:
                self._runs.popitem(last=False)

    def _put(self, key: _Key, one: RecentSpan) -> None:
        with self._lock:
            self._spans[key] = one
            self._bytes += one.size
            while self._bytes > self._max_bytes:
                _, oldest = self._spans.popitem(last=False)
                self._bytes -= oldest.size


def _body(payload: SpanPayload) -> Body:
    if isinstance(payload, NewSpanPayload) and len(payload.document) <= _MAX_DOCUMENT:
        return RAW, payload.document
    return payload.codec, payload.body


def _found(
    rows: Mapping[_Key, T], account_id: str, ids: Sequence[str]
) -> tuple[Sequence[T], Sequence[str]]:
    """Return the rows with these ids, and the ids of those that are missing."""
    known = [*map(rows.get, zip(repeat(account_id), ids, strict=False))]
    if None not in known:
        return cast("list[T]", known), ()
    found = [one for one in known if one is not None]
    return found, [row_id for row_id, one in zip(ids, known, strict=True) if one is None]
