"""What was refused, and what therefore cannot be delivered either. Pure, and bounded."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar

from prefactor_recorder.delivery.outcomes import describe
from prefactor_recorder.encoding.record import Operation

if TYPE_CHECKING:
    from prefactor_recorder.encoding.record import Record

V = TypeVar("V")

REMEMBERED = 10_000
"""Runs and spans of which something is remembered, for what is recorded about them later."""
_UNKNOWN_RUN = "run_unknown"


class Refusals:
    """Remembers runs and spans that were refused, and runs that the server knows."""

    def __init__(self) -> None:
        """Nothing was refused yet."""
        self._reasons: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._known: OrderedDict[str, bool] = OrderedDict()

    def __len__(self) -> int:
        """How many runs and spans are remembered as refused."""
        return len(self._reasons)

    def __contains__(self, identifier: object) -> bool:
        """Whether a run or a span was refused."""
        return identifier in self._reasons

    def reason(self, identifier: str) -> dict[str, Any] | None:
        """Why what depends on a run or a span is refused without being sent; None if it is not."""
        return self._reasons.get(identifier)

    def of(self, record: Record) -> dict[str, Any] | None:
        """Why a record is refused without being sent; None if it is not."""
        if not self._reasons:
            return None
        reason = self._reasons.get(record.run_id)
        if reason is None and record.operation is Operation.FINISH_SPAN:
            reason = self._reasons.get(record.id)
        return reason

    def is_known(self, run_id: str) -> bool:
        """Whether the server was told of a run, so that not finding it is final."""
        return run_id in self._known

    def learn(self, run_id: str) -> None:
        """The server takes records of a run, or is about to be told of it."""
        _remember(self._known, run_id, value=True)
        self.forget(run_id)

    def forget(self, identifier: str) -> None:
        """A run or a span is here again: it was a dead letter, or takes another way."""
        if self._reasons:
            self._reasons.pop(identifier, None)

    def refused(self, record: Record, refusal: dict[str, Any], *, unknown_run: bool) -> None:
        """A record was refused for good.

        Args:
            record: What was refused.
            refusal: What the server said.
            unknown_run: Whether it said that it does not know the run.
        """
        if record.operation is Operation.REGISTER:
            self._depends(record.run_id, "run_refused", f"its run was refused: {describe(refusal)}")
        elif unknown_run and not self.is_known(record.run_id):
            self._depends(record.run_id, _UNKNOWN_RUN, f"its run is unknown: {describe(refusal)}")
        elif record.operation is Operation.CREATE_SPAN:
            self._depends(record.id, "span_refused", f"its span was refused: {describe(refusal)}")

    def _depends(self, identifier: str, code: str, message: str) -> None:
        _remember(self._reasons, identifier, value={"code": code, "message": message})


def _remember(known: OrderedDict[str, V], key: str, *, value: V) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > REMEMBERED:
        known.popitem(last=False)
