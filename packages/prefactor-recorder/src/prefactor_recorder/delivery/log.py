"""Log messages of delivery, each logged at most once a minute."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prefactor_recorder.corrections import short_repr
from prefactor_recorder.delivery.repair import changed_members, registered_members
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.guard import log_safely

if TYPE_CHECKING:
    from prefactor_recorder.delivery.settlement import Settlement
    from prefactor_recorder.encoding.record import Record
    from prefactor_recorder.journal.base import Entry

REPEAT_INTERVAL = 60.0
"""Seconds before a message of the same kind is logged again."""


class DeliveryLog:
    """Logs delivery's problems and how to fix them. Never logs a body or a token.

    Args:
        api_url: URL of the API; credentials in it are not logged.
    """

    def __init__(self, api_url: str) -> None:
        """Create a log without any messages."""
        url = urlsplit(api_url)
        self._address = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
        self._logged_at: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}

    def failing(self, why: str, now: float) -> None:
        """Warn that requests fail and will be retried."""
        self._say("failing", now, f"fails ({why}); records are kept and retried later")

    def paused(self, why: str, now: float, again: float) -> None:
        """Warn that delivery is paused until somebody fixes the configuration."""
        self._say(
            "paused",
            now,
            f"is paused ({why}): check the address and the token (PREFACTOR_API_URL, "
            f"PREFACTOR_API_TOKEN). Records are kept and retried every {again:.0f} s",
        )

    def recovered(self) -> None:
        """Log that delivery works again."""
        log_safely(logging.INFO, "Delivery to %s works again", self._address)

    def report(self, settlement: Settlement, now: float) -> None:
        """Warn about dead letters, and about registrations that were changed to be accepted."""
        for before, after in settlement.repaired:
            changed = ", ".join(changed_members(before, after))
            self._say(
                f"repaired {changed}",
                now,
                f"had the registration of {_run(before)} rejected because of {changed}, and sends "
                "it again without the rejected part",
            )
        for run_id in settlement.lost:
            self._say(
                "lost",
                now,
                f"found no readable registration of run {run_id} in the spool, and rebuilt it from "
                "the rest of the run; its span types are missing",
            )
        if settlement.dead_lettered:
            self._report_dead_letters(settlement.dead_lettered, now)

    def _report_dead_letters(
        self, dead_lettered: list[tuple[Entry, dict[str, Any]]], now: float
    ) -> None:
        (first, refusal), count = dead_lettered[0], len(dead_lettered)
        what = f"{count} records ({refusal.get('code')})"
        if first.record.operation is Operation.REGISTER:
            what = f"{_run(first.record)}, {what}"
        self._say(
            "dead_lettered",
            now,
            f"was rejected for {what}; they are dead letters and will not be retried. "
            "`prefactor-spool list` shows the reasons, `prefactor-spool retry` requeues them",
        )

    def _say(self, kind: str, now: float, text: str) -> None:
        last = self._logged_at.get(kind)
        if last is not None and now < last + REPEAT_INTERVAL:
            self._suppressed[kind] = self._suppressed.get(kind, 0) + 1
            return
        self._logged_at[kind] = now
        missed = self._suppressed.pop(kind, 0)
        more = f" ({missed} more warnings like this were suppressed)" if missed else ""
        log_safely(logging.WARNING, "Delivery to %s %s%s", self._address, text, more)


def _run(record: Record) -> str:
    """Describe a run briefly from its registration."""
    names = ("agent_id", "environment_id", "external_identifier")
    members = registered_members(record, names)
    return (
        f"run {record.run_id} ("
        + ", ".join(f"{k}={short_repr(v)}" for k, v in members.items())
        + ")"
    )
