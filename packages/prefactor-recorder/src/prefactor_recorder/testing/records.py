"""Runs and spans as plain objects, built from the records a recorder wrote."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from prefactor_recorder.encoding.record import TIMESTAMP_LENGTH, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prefactor_recorder.encoding.record import Record


@dataclass(eq=False)
class RecordedSpan:
    """A recorded span."""

    id: str
    """Its id."""
    run: RecordedRun = field(repr=False)
    """The run it belongs to."""
    parent: RecordedSpan | None = field(repr=False)
    """The parent, if it was recorded here as well."""
    parent_id: str | None
    """The id of the parent; None for a root of the run."""
    schema_name: str
    """The span type."""
    payload: dict[str, Any]
    """The payload as JSON values."""
    started_at: datetime
    """When it began."""
    status: str = "active"
    """`active`, and after its end `complete`, `failed` or `cancelled`."""
    result: dict[str, Any] | None = None
    """The result as JSON values; None without one."""
    finished_at: datetime | None = None
    """When it ended."""
    children: list[RecordedSpan] = field(default_factory=list["RecordedSpan"], repr=False)
    """Its children, in the order they began."""

    @property
    def error(self) -> dict[str, str] | None:
        """The `error_type`, `message` and `stacktrace` of its failure, if any."""
        return None if self.result is None else self.result.get("error")

    def lines(self, indent: str = "") -> Iterator[str]:
        """Yield a line for the span and for each of its descendants."""
        failure = f": {self.error['error_type']}" if self.error else ""
        yield f"{indent}{self.schema_name} {self.status}{failure}"
        for child in self.children:
            yield from child.lines(indent + "  ")


@dataclass(eq=False)
class RecordedRun:
    """A recorded run."""

    id: str
    """Its id."""
    registration: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """Its registration as the API accepts it; empty for a run of another process."""
    status: str = "pending"
    """`pending`, `active`, and after its end `complete`, `failed` or `cancelled`."""
    started_at: datetime | None = None
    """When it started."""
    finished_at: datetime | None = None
    """When it ended."""
    metadata: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    """Its metadata."""
    spans: list[RecordedSpan] = field(default_factory=list[RecordedSpan], repr=False)
    """Its spans, in the order they began."""

    @property
    def agent_id(self) -> str | None:
        """The agent."""
        return self.registration.get("agent_id")

    def change_metadata(self, changes: Mapping[str, str | None]) -> None:
        """Set the given keys, and remove those whose value is None."""
        texts = {**self.metadata, **changes}
        self.metadata = {key: text for key, text in texts.items() if text is not None}

    def lines(self) -> Iterator[str]:
        """Yield a line for the run and for each of its spans, indented."""
        yield " ".join(["run", *([self.agent_id] if self.agent_id else []), self.status])
        for span in self.spans:
            if span.parent is None:
                yield from span.lines("  ")


class Records:
    """The runs and spans a recorder has written so far."""

    def __init__(self) -> None:
        self.runs: dict[str, RecordedRun] = {}
        self.spans: dict[str, RecordedSpan] = {}

    def add(self, record: Record) -> None:
        """Add a record. Ends of unknown (or cleared) runs and spans are ignored."""
        if record.operation is Operation.FINISH_SPAN:
            if record.id in self.spans:
                self._end_span(self.spans[record.id], record.body)
            return
        body = orjson.loads(b"{%b}" % record.body)
        if record.operation is Operation.CREATE_SPAN:
            self._begin_span(self._run(record.run_id), body)
        elif record.operation is Operation.REGISTER:
            run = self._run(record.run_id)
            run.registration = body
            run.metadata = dict(body.get("metadata", {}))
        elif record.operation is Operation.SET_METADATA:
            self._run(record.run_id).change_metadata(body["metadata"])
        elif record.run_id in self.runs:
            _update_status(self.runs[record.run_id], record.operation, body)

    def _run(self, run_id: str) -> RecordedRun:
        return self.runs.setdefault(run_id, RecordedRun(run_id))

    def _begin_span(self, run: RecordedRun, body: dict[str, Any]) -> None:
        parent = self.spans.get(body["parent_span_id"] or "")
        span = RecordedSpan(
            id=body["id"],
            run=run,
            parent=parent,
            parent_id=body["parent_span_id"],
            schema_name=body["schema_name"],
            payload=body["payload"],
            started_at=datetime.fromisoformat(body["started_at"]),
        )
        self.spans[span.id] = span
        run.spans.append(span)
        if parent is not None:
            parent.children.append(span)

    @staticmethod
    def _end_span(span: RecordedSpan, body: bytes) -> None:
        rest = orjson.loads(b"{%b}" % body[TIMESTAMP_LENGTH:].removeprefix(b","))
        span.finished_at = datetime.fromisoformat(orjson.loads(body[:TIMESTAMP_LENGTH]))
        span.status = rest["status"]
        span.result = rest.get("result_payload")


def _update_status(run: RecordedRun, operation: Operation, body: dict[str, Any]) -> None:
    moment = datetime.fromisoformat(body["timestamp"])
    if operation is Operation.START:
        run.status, run.started_at = "active", moment
    else:
        run.status, run.finished_at = body["status"], moment
