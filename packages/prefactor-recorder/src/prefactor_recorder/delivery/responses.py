"""One request after another: what is sent, and what its answer changes everywhere.

The answer goes to the planner, to the pace, to the journal and to whoever listens; the rules are
in those, and their order is here.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from prefactor_recorder.delivery.client import Lost
from prefactor_recorder.delivery.outcomes import (
    Failure,
    Fate,
    Verdict,
    Whole,
    judge_failure,
    judge_item,
)
from prefactor_recorder.guard import tell

if TYPE_CHECKING:
    from prefactor_recorder.delivery.batch_size import BatchLimits
    from prefactor_recorder.delivery.client import Sender
    from prefactor_recorder.delivery.parts import Parts
    from prefactor_recorder.delivery.polling import Polls
    from prefactor_recorder.delivery.run_queue import Batch
    from prefactor_recorder.delivery.settlement import Settlement
    from prefactor_recorder.delivery.throttle import Pace

SUSPICIOUS = 2
"""Items in a row of which each alone makes the server refuse a request: after more, it is the
server that does not understand us, and delivery pauses."""


class Exchange:
    """Sends requests and acts on what comes back."""

    def __init__(
        self, parts: Parts, sender: Sender, pace: Pace, allowance: BatchLimits, polls: Polls
    ) -> None:
        """Share the parts; nothing is sent yet."""
        self._parts = parts
        self._planner = parts.planner
        self._sender = sender
        self._pace = pace
        self._allowance = allowance
        self._polls = polls
        self._account_known = False
        self._blamed = 0
        self.in_flight = 0
        """Requests with records that are under way."""

    @property
    def is_full(self) -> bool:
        """Whether a whole request's worth of items waits."""
        planner, allowance = self._planner, self._allowance
        return planner.ready_items >= allowance.items or planner.ready_bytes >= allowance.bytes

    async def deliver(self, batch: Batch) -> None:
        """Send a request, and do what follows from the answer."""
        started = _now()
        self.in_flight += 1
        try:
            outputs = await self._sender.bulk(batch.encode())
        except Lost as lost:
            self._lost(batch, lost.failure, started)
        else:
            await self._answered(batch, outputs, started)
        finally:
            self.in_flight -= 1

    def settle(self, settlement: Settlement) -> None:
        """Tell the journal what is done with."""
        parts = self._parts
        if parts.is_abandoned():
            return
        if settlement.delivered:
            parts.journal.settle(settlement.delivered)
            parts.stats.delivered += len(settlement.delivered)
        for entry, refusal in settlement.buried:
            parts.journal.bury(entry, refusal)
        parts.stats.buried += len(settlement.buried)
        parts.stats.corrected += len(settlement.repaired)
        parts.notices.settled(settlement, _now())

    async def look_after(self, run_id: str) -> None:
        """Ask for a run that has been quiet: it may have been terminated meanwhile."""
        try:
            run = await self._sender.run(run_id)
        except Lost as lost:
            self._parts.stats.last_error = lost.failure.message
            return
        if run is not None and run.get("status") == "terminated":
            self._tell(run_id, run.get("termination_reason"))

    # --- An answer ------------------------------------------------------------------------------

    async def _answered(self, batch: Batch, outputs: dict[str, Any], started: float) -> None:
        verdicts = [judge_item(item, outputs.get(key)) for key, item in batch.items.items()]
        if all(verdict.fate is Fate.ABSENT for verdict in verdicts):
            failure = Failure("an answer that holds none of the items that were sent", status=200)
            self._lost(batch, failure, started)
            return
        now = _now()
        settlement = self._planner.settle(batch, verdicts, now)
        self.settle(settlement)
        rejected = next((v for v in verdicts if v.fate is Fate.PAUSE), None)
        if rejected is not None:
            self._pause(f"{(rejected.refusal or {}).get('code')}")
        else:
            self._went_well()
        self._note(batch, verdicts, outputs, now)
        for run_id, refusal in settlement.asks:
            await self._ask(run_id, refusal)

    def _went_well(self) -> None:
        self._blamed = 0
        self._allowance.succeeded()
        if self._pace.succeeded(backlog=self.is_full or self._parts.journal.unread > 0):
            self._planner.forgive()
            self._parts.notices.works()
        self._parts.stats.paused = None

    async def _ask(self, run_id: str, refusal: dict[str, Any]) -> None:
        """Ask for a run whose register was refused because its id is known."""
        try:
            there: bool | None = await self._sender.run(run_id) is not None
        except Lost:
            there = None
        self.settle(self._planner.answered(run_id, refusal, _now(), there=there))

    def _note(
        self, batch: Batch, verdicts: list[Verdict], outputs: dict[str, Any], now: float
    ) -> None:
        """Pass on what outputs say beside success and failure."""
        for lane in batch.lanes:
            self._polls.heard(lane.run_id, now)
        for (key, item), verdict in zip(batch.items.items(), verdicts, strict=True):
            if verdict.refusal is not None and verdict.fate is not Fate.STANDS:
                self._parts.stats.last_error = verdict.message
                self._parts.stats.retries += verdict.fate in _AGAIN
            output: dict[str, Any] = outputs.get(key) or {}
            if "control" in output:
                self._obey(item.record.run_id, output["control"])
            if not self._account_known:
                self._learn_account(output.get("details"))

    def _obey(self, run_id: str, control: Any) -> None:
        match control:
            case {"terminate": True, "reason": str(reason)}:
                self._tell(run_id, reason)
            case {"terminate": True}:
                self._tell(run_id, None)
            case _:
                pass

    def _tell(self, run_id: str, reason: Any) -> None:
        try:
            self._parts.listener.terminated(run_id, reason if isinstance(reason, str) else None)
        except Exception as error:  # noqa: BLE001 - delivery goes on
            tell(logging.ERROR, "Whoever listens for terminated runs failed", error=error)

    def _learn_account(self, details: Any) -> None:
        match details:
            case {"account_id": str(account)}:
                self._account_known = True
                if not self._parts.is_abandoned():
                    self._parts.journal.learn_account(account)
            case _:
                pass

    # --- No answer, or a refusal of everything --------------------------------------------------

    def _lost(self, batch: Batch, failure: Failure, started: float) -> None:
        self._parts.stats.last_error = failure.message
        items = len(batch.items)
        whole = judge_failure(failure)
        if whole is Whole.PAUSE:
            self._planner.returned(batch, sent=False)
            self._pause(failure.summary)
        elif whole is Whole.RETRY:
            self._failed(batch, failure, started)
        elif items == 1:
            self._blame(batch, failure, whole)
        else:
            self._pace.recover()
            if whole is Whole.TOO_LARGE:
                limit = failure.limit if failure.limit_of == "request_bytes" else None
                self._allowance.too_large(sum(item.size for item in batch.items.values()), limit)
            else:
                self._allowance.refused(items)
            self._planner.returned(batch, sent=False)

    def _blame(self, batch: Batch, failure: Failure, whole: Whole) -> None:
        """One item alone was refused: it goes, unless the server refuses just anything."""
        self._allowance.singled_out()
        verdict = Verdict(Fate.BURY, failure.refusal)
        self.settle(self._planner.settle(batch, [verdict], _now()))
        self._blamed += whole is Whole.SHRINK
        if self._blamed > SUSPICIOUS:
            self._pause(failure.summary)

    def _failed(self, batch: Batch, failure: Failure, started: float) -> None:
        """It may work later: with the whole request, or with all of it but one item."""
        parts, items, now = self._parts, len(batch.items), _now()
        parts.stats.retries += 1
        news = self._pace.failed(
            now,
            started=started,
            asked=failure.retry_after,
            chance=parts.random(),
            dropped=failure.dropped,
        )
        again = self._pace.failures > 1
        if news and (again or not failure.dropped):
            parts.notices.failing(failure.summary, now)
        suspicious = again and failure.sent and failure.retry_after is None
        if suspicious and items == 1:
            self._allowance.singled_out()
            verdict = Verdict(Fate.RETRY, failure.refusal)
            self.settle(self._planner.settle(batch, [verdict], now))
            return
        if suspicious and news:
            self._allowance.troubled(items)
        self._planner.returned(batch, sent=failure.sent)

    def _pause(self, why: str) -> None:
        parts, now = self._parts, _now()
        parts.stats.paused = parts.stats.last_error = why
        if self._pace.pause(now, why, chance=parts.random()):
            parts.notices.paused(why, now, parts.settings.probe_interval)


_AGAIN = frozenset({Fate.RETRY, Fate.FORBIDDEN, Fate.UNKNOWN_RUN})


def _now() -> float:
    return asyncio.get_running_loop().time()
