"""The pure part of a backfill: rows that were stored before a consumer started.

A backfill walks all runs in the order of their accounts and ids, while new changes are followed.
Every transition is reported exactly once: a change from the feed is limited to runs and spans that
the walk has passed, and the walk leaves out the transitions that the feed has yet to deliver.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from prefactor_server.domain.change import (
    BACKFILLED,
    IMPORTED,
    RUN_CREATED,
    RUN_ENDED,
    Change,
)
from prefactor_server.domain.runs.agent_instance import OPEN_STATUSES
from prefactor_server.domain.runs.agent_span import FINISHED
from prefactor_server.storage.feed import StoredRun, StoredSpan

RESET: Final = "reset"
"""The state of a consumer whose rows are to be deleted before the walk begins."""

_SEPARATOR: Final = "\n"


class Cursor(NamedTuple):
    """The position of the walk: this run has been reported, with its spans up to ``span_id``.

    ``span_id`` is None after all spans of the run.
    """

    account_id: str = ""
    run_id: str = ""
    span_id: str | None = None

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Parse a stored cursor."""
        return cls(*text.split(_SEPARATOR))

    def __str__(self) -> str:
        """Return the cursor as it is stored."""
        return _SEPARATOR.join(part for part in self if part is not None)

    def passed(self, change: Change) -> Change | None:
        """Return the part of a change that the walk has passed, or None."""
        run = (change.account_id, change.agent_instance_id)
        reached = (self.account_id, self.run_id)
        if run > reached:
            return None
        last = self.span_id
        if run < reached or last is None:
            return change
        return change._replace(
            span_ids=tuple(span_id for span_id in change.span_ids if span_id <= last),
            finished_ids=tuple(span_id for span_id in change.finished_ids if span_id <= last),
        )


START: Final = Cursor()


class Pending(NamedTuple):
    """The changes that the feed has not delivered yet: runs and spans by account and id."""

    created: frozenset[tuple[str, str]]
    """Runs that were created."""
    ended: frozenset[tuple[str, str]]
    """Runs that ended."""
    finished: frozenset[tuple[str, str]]
    """Spans that finished."""

    @classmethod
    def of(cls, changes: Iterable[Change]) -> Pending:
        """Summarise the changes that a consumer has not seen."""
        created: set[tuple[str, str]] = set()
        ended: set[tuple[str, str]] = set()
        finished: set[tuple[str, str]] = set()
        for change in changes:
            run = (change.account_id, change.agent_instance_id)
            if change.flags & RUN_CREATED:
                created.add(run)
            if change.flags & RUN_ENDED:
                ended.add(run)
            finished.update((change.account_id, span_id) for span_id in change.finished_ids)
        return cls(frozenset(created), frozenset(ended), frozenset(finished))


def report(
    position: int, run: StoredRun, spans: Sequence[StoredSpan], pending: Pending, *, first: bool
) -> Change | None:
    """Return the change that reports a stored run and some of its spans.

    Return None if the feed has yet to deliver the run's registration, because everything else about
    the run follows in the feed as well. Only the ``first`` change of a run reports its registration
    and its end.
    """
    key = (run.account_id, run.id)
    if key in pending.created:
        return None
    flags = BACKFILLED | IMPORTED if run.is_silent_import else BACKFILLED
    if first:
        flags |= RUN_CREATED
        if run.status not in OPEN_STATUSES and key not in pending.ended:
            flags |= RUN_ENDED
    return Change(
        position=position,
        account_id=run.account_id,
        agent_instance_id=run.id,
        at=run.inserted_at,
        flags=flags,
        span_ids=tuple(span.id for span in spans),
        finished_ids=tuple(
            span.id
            for span in spans
            if span.status in FINISHED and (span.account_id, span.id) not in pending.finished
        ),
    )
