"""Warnings that say what to do, and say it once a minute at most."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prefactor_recorder.corrections import shown
from prefactor_recorder.delivery.repair import changed_members, registered_members
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.guard import tell

if TYPE_CHECKING:
    from prefactor_recorder.delivery.settlement import Settlement
    from prefactor_recorder.encoding.record import Record
    from prefactor_recorder.journal.base import Entry

QUIET = 60.0
"""Seconds for which a warning is not repeated."""


class Notices:
    """What delivery tells whoever runs the program: never a body, never a token.

    Args:
        api_url: Where records go; credentials in it are not shown.
    """

    def __init__(self, api_url: str) -> None:
        """Nothing was said yet."""
        url = urlsplit(api_url)
        self._address = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
        self._said: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def failing(self, why: str, now: float) -> None:
        """Requests fail, and will be repeated."""
        self._say("failing", now, f"fails ({why}); records are kept and sent again later")

    def paused(self, why: str, now: float, again: float) -> None:
        """Nothing is sent for now, and somebody has to do something."""
        self._say(
            "paused",
            now,
            f"is paused ({why}): check the address and the token (PREFACTOR_API_URL, "
            f"PREFACTOR_API_TOKEN). Records are kept, and tried again every {again:.0f} s",
        )

    def works(self) -> None:
        """What had failed works again."""
        tell(logging.INFO, "Delivery to %s works again", self._address)

    def settled(self, settlement: Settlement, now: float) -> None:
        """Say what was refused for good, and what was changed so that it was not."""
        for before, after in settlement.repaired:
            changed = ", ".join(changed_members(before, after))
            self._say(
                f"repaired {changed}",
                now,
                f"had {_run(before)} refused for {changed}, and registers it without the refused "
                "part",
            )
        for run_id in settlement.lost:
            self._say(
                "lost",
                now,
                f"finds the registration of run {run_id} damaged on disk, and makes it again from "
                "what is left of the run; its span types are missing",
            )
        if settlement.buried:
            self._buried(settlement.buried, now)

    def _buried(self, buried: list[tuple[Entry, dict[str, Any]]], now: float) -> None:
        (first, refusal), count = buried[0], len(buried)
        what = f"{count} records ({refusal.get('code')})"
        if first.record.operation is Operation.REGISTER:
            what = f"{_run(first.record)}, {what}"
        self._say(
            "buried",
            now,
            f"was refused for {what}; they are dead letters and not sent again. `prefactor-spool "
            "list` shows them with the reason, `prefactor-spool retry` puts them back",
        )

    def _say(self, kind: str, now: float, text: str) -> None:
        last = self._said.get(kind)
        if last is not None and now < last + QUIET:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._said[kind] = now
        missed = self._unsaid.pop(kind, 0)
        more = f" ({missed} more warnings like this were left out)" if missed else ""
        tell(logging.WARNING, "Delivery to %s %s%s", self._address, text, more)


def _run(record: Record) -> str:
    """A run as its registration describes it, shortened."""
    names = ("agent_id", "environment_id", "external_identifier")
    said = registered_members(record, names)
    return f"run {record.run_id} (" + ", ".join(f"{k}={shown(v)}" for k, v in said.items()) + ")"
