"""Handles the responses to requests, and the failures of requests.

A response updates the planner, the throttle, the journal and the listener. They hold the rules;
this module determines the order. It sends nothing; see `sender`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from prefactor_recorder.delivery.outcomes import (
    Disposition,
    Failure,
    Outcome,
    RequestOutcome,
    item_outcome,
    output_members,
    request_outcome,
)
from prefactor_recorder.guard import log_safely

if TYPE_CHECKING:
    from prefactor_recorder.delivery.batch_size import BatchLimits
    from prefactor_recorder.delivery.heartbeats import HeartbeatSchedule
    from prefactor_recorder.delivery.parts import DeliveryContext
    from prefactor_recorder.delivery.polling import PollSchedule
    from prefactor_recorder.delivery.run_queue import Batch
    from prefactor_recorder.delivery.settlement import Settlement
    from prefactor_recorder.delivery.throttle import Throttle

MAX_BLAMED = 2
"""Consecutive requests of a single item that the server may reject. After more, the server is to
blame rather than the items, and delivery pauses."""


class ResponseHandler:
    """Handles responses, and requests that failed."""

    def __init__(
        self,
        context: DeliveryContext,
        throttle: Throttle,
        batch_limits: BatchLimits,
        *,
        polling: PollSchedule,
        heartbeats: HeartbeatSchedule,
    ) -> None:
        """Create a handler of the responses to one run of the loop."""
        self._context = context
        self._planner = context.planner
        self._throttle = throttle
        self._batch_limits = batch_limits
        self._polling = polling
        self._heartbeats = heartbeats
        self._account_known = False
        self._blamed = 0

    @property
    def is_full(self) -> bool:
        """Whether enough items are ready to fill a request."""
        planner, limits = self._planner, self._batch_limits
        return planner.ready_items >= limits.items or planner.ready_bytes >= limits.bytes

    def commit(self, settlement: Settlement) -> None:
        """Ack delivered entries, write dead letters, and update the statistics."""
        context = self._context
        if context.is_abandoned():
            return
        if settlement.delivered:
            context.journal.ack(settlement.delivered)
            context.stats.delivered += len(settlement.delivered)
        for entry, refusal in settlement.dead_lettered:
            context.journal.dead_letter(entry, refusal)
        context.stats.dead_lettered += len(settlement.dead_lettered)
        context.stats.corrected += len(settlement.repaired)
        context.log.report(settlement, _now())

    def run_polled(self, run_id: str, run: dict[str, Any] | None) -> None:
        """Handle the response to a poll: the details of a run, or None if it is unknown."""
        if run is not None and run.get("status") == "terminated":
            self._notify_terminated(run_id, run.get("termination_reason"))

    def heartbeat_answered(self, controls: dict[str, Any] | None) -> None:
        """Handle the response to a heartbeat, or None from a server without heartbeats."""
        if controls is None:
            self._heartbeats.refused(_now())
            return
        for run_id, control in controls.items():
            self._apply_control(run_id, control)

    def note_failure(self, failure: Failure) -> None:
        """Record the failure of a request that is not retried."""
        self._context.stats.last_error = failure.message

    # --- Responses to batches -------------------------------------------------------------------

    def batch_answered(
        self, batch: Batch, outputs: dict[str, Any], started: float
    ) -> list[tuple[str, dict[str, Any]]]:
        """Handle the outputs of a batch by idempotency key.

        Returns:
            The runs to look up, each with the refusal of its registration.
        """
        outcomes = [item_outcome(item, outputs.get(key)) for key, item in batch.items.items()]
        if all(outcome.disposition is Disposition.NOT_PROCESSED for outcome in outcomes):
            failure = Failure("a response without any of the items sent", status=200)
            self.batch_failed(batch, failure, started)
            return []
        now = _now()
        settlement = self._planner.apply(batch, outcomes, now)
        self.commit(settlement)
        rejected = next((v for v in outcomes if v.disposition is Disposition.PAUSE), None)
        if rejected is not None:
            self._pause(f"{(rejected.refusal or {}).get('code')}")
        else:
            self._succeeded()
        self._read_outputs(batch, outcomes, outputs, now)
        return settlement.run_lookups

    def run_looked_up(self, run_id: str, refusal: dict[str, Any], *, exists: bool | None) -> None:
        """Handle the lookup of a run whose registration was rejected; None if it failed."""
        self.commit(self._planner.apply_lookup(run_id, refusal, _now(), exists=exists))

    def _succeeded(self) -> None:
        self._blamed = 0
        self._batch_limits.succeeded()
        if self._throttle.succeeded(backlog=self.is_full or self._context.journal.unread > 0):
            self._planner.unblock()
            self._context.log.recovered()
        self._context.stats.paused = None

    def _read_outputs(
        self, batch: Batch, outcomes: list[Outcome], outputs: dict[str, Any], now: float
    ) -> None:
        """Process everything in the outputs besides success and failure."""
        for queue in batch.queues:
            self._polling.record_response(queue.run_id, now)
        self._heartbeats.record_response(now)
        for (key, item), outcome in zip(batch.items.items(), outcomes, strict=True):
            if (
                outcome.refusal is not None
                and outcome.disposition is not Disposition.ALREADY_EXISTS
            ):
                self._context.stats.last_error = outcome.message
                self._context.stats.retries += outcome.disposition in _RETRIED
            output = output_members(outputs.get(key))
            if "control" in output:
                self._apply_control(item.record.run_id, output["control"])
            if not self._account_known:
                self._store_account(output.get("details"))

    def _apply_control(self, run_id: str, control: Any) -> None:
        match control:
            case {"terminate": True, "reason": str(reason)}:
                self._notify_terminated(run_id, reason)
            case {"terminate": True}:
                self._notify_terminated(run_id, None)
            case _:
                pass

    def _notify_terminated(self, run_id: str, reason: Any) -> None:
        try:
            self._context.listener.terminated(run_id, reason if isinstance(reason, str) else None)
        except Exception as error:  # noqa: BLE001 - delivery goes on
            log_safely(logging.ERROR, "The listener for terminated runs failed", error=error)

    def _store_account(self, details: Any) -> None:
        match details:
            case {"account_id": str(account)}:
                self._account_known = True
                if not self._context.is_abandoned():
                    self._context.journal.learn_account(account)
            case _:
                pass

    # --- Batches that failed as a whole ----------------------------------------------------------

    def batch_failed(self, batch: Batch, failure: Failure, started: float) -> None:
        """Handle the failure of a request as a whole: retry, shrink, dead-letter or pause."""
        self._context.stats.last_error = failure.message
        items = len(batch.items)
        request = request_outcome(failure)
        if request is RequestOutcome.PAUSE:
            self._planner.requeue(batch, sent=False)
            self._pause(failure.summary)
        elif request is RequestOutcome.RETRY:
            self._retry_later(batch, failure, started)
        elif items == 1:
            self._blame(batch, failure, request)
        else:
            self._throttle.recover()
            if request is RequestOutcome.TOO_LARGE:
                limit = failure.limit if failure.limit_of == "request_bytes" else None
                self._batch_limits.too_large(sum(item.size for item in batch.items.values()), limit)
            else:
                self._batch_limits.refused(items)
            self._planner.requeue(batch, sent=False)

    def _blame(self, batch: Batch, failure: Failure, request: RequestOutcome) -> None:
        """Dead-letter a single rejected item. Pause if the server keeps rejecting single items."""
        self._batch_limits.singled_out()
        outcome = Outcome(Disposition.DEAD_LETTER, failure.refusal)
        self.commit(self._planner.apply(batch, [outcome], _now()))
        self._blamed += request is RequestOutcome.SHRINK
        if self._blamed > MAX_BLAMED:
            self._pause(failure.summary)

    def _retry_later(self, batch: Batch, failure: Failure, started: float) -> None:
        """Retry later: the whole request, or everything except one item that keeps failing."""
        context, items, now = self._context, len(batch.items), _now()
        context.stats.retries += 1
        news = self._throttle.failed(
            now,
            started=started,
            retry_after=failure.retry_after,
            chance=context.random(),
            dropped=failure.dropped,
        )
        again = self._throttle.failures > 1
        if news and (again or not failure.dropped):
            context.log.failing(failure.summary, now)
        suspicious = again and failure.sent and failure.retry_after is None
        if suspicious and items == 1:
            self._batch_limits.singled_out()
            outcome = Outcome(Disposition.RETRY, failure.refusal)
            self.commit(self._planner.apply(batch, [outcome], now))
            return
        if suspicious and news:
            self._batch_limits.troubled(items)
        self._planner.requeue(batch, sent=failure.sent)

    def _pause(self, why: str) -> None:
        context, now = self._context, _now()
        context.stats.paused = context.stats.last_error = why
        if self._throttle.pause(now, why, chance=context.random()):
            context.log.paused(why, now, context.settings.probe_interval)


_RETRIED = frozenset({Disposition.RETRY, Disposition.FORBIDDEN, Disposition.UNKNOWN_RUN})


def _now() -> float:
    return asyncio.get_running_loop().time()
