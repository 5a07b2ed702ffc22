"""Remembers rejected runs and spans, whose other records cannot be delivered. Pure and bounded."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar

from prefactor_recorder.delivery.outcomes import describe
from prefactor_recorder.encoding.record import Operation

if TYPE_CHECKING:
    from prefactor_recorder.encoding.record import Record

V = TypeVar("V")

REMEMBERED = 10_000
"""Maximum runs and spans to remember, for records about them that follow later."""
_UNKNOWN_RUN = "run_unknown"


class Rejections:
    """Tracks rejected runs and spans, and runs that the server knows."""

    def __init__(self) -> None:
        """Start empty."""
        self._reasons: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._known: OrderedDict[str, bool] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of rejected runs and spans."""
        return len(self._reasons)

    def __contains__(self, identifier: object) -> bool:
        """Return whether a run or span was rejected."""
        return identifier in self._reasons

    def reason(self, identifier: str) -> dict[str, Any] | None:
        """Return why dependents of a run or span are dead-lettered unsent, or None."""
        return self._reasons.get(identifier)

    def reason_for_record(self, record: Record) -> dict[str, Any] | None:
        """Return why a record is dead-lettered unsent, or None."""
        if not self._reasons:
            return None
        reason = self._reasons.get(record.run_id)
        if reason is None and record.operation is Operation.FINISH_SPAN:
            reason = self._reasons.get(record.id)
        return reason

    def is_known(self, run_id: str) -> bool:
        """Return whether the server should know a run, so that `not_found` is final."""
        return run_id in self._known

    def learn(self, run_id: str) -> None:
        """Record that the server accepts records of a run, or is about to see its registration."""
        _remember(self._known, run_id, value=True)
        self.forget(run_id)

    def forget(self, identifier: str) -> None:
        """Forget a rejection, because the run or span is being sent again."""
        if self._reasons:
            self._reasons.pop(identifier, None)

    def add(self, record: Record, refusal: dict[str, Any], *, unknown_run: bool) -> None:
        """Record that a record was rejected permanently.

        Args:
            record: The rejected record.
            refusal: The server's error.
            unknown_run: Whether the server does not know the run.
        """
        if record.operation is Operation.REGISTER:
            self._reject_dependents(
                record.run_id, "run_refused", f"its run was rejected: {describe(refusal)}"
            )
        elif unknown_run and not self.is_known(record.run_id):
            self._reject_dependents(
                record.run_id, _UNKNOWN_RUN, f"its run is unknown: {describe(refusal)}"
            )
        elif record.operation is Operation.CREATE_SPAN:
            self._reject_dependents(
                record.id, "span_refused", f"its span was rejected: {describe(refusal)}"
            )

    def _reject_dependents(self, identifier: str, code: str, message: str) -> None:
        _remember(self._reasons, identifier, value={"code": code, "message": message})


def _remember(known: OrderedDict[str, V], key: str, *, value: V) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > REMEMBERED:
        known.popitem(last=False)
