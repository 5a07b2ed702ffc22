"""Alerts: runs that somebody may want to look at, found when they are asked for.

run_failed       a run failed
run_terminated   a run was stopped from outside
risk_exceeded    a run's risk is above what its profile agrees to
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from prefactor_server.domain.errors import invalid
from prefactor_server.domain.listing import Cursor, Listing, Page
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.risk.risk_score import RiskLevel, RunRisk, exceeds
from prefactor_server.domain.runs.agent_instance import AgentInstance

AlertKind: TypeAlias = Literal["run_failed", "run_terminated", "risk_exceeded"]

MAX_RUNS: Final = 1000
"""How many runs of each sort are looked at, the newest first."""
MAX_SPANS: Final = 200_000
"""How many spans are counted for scores."""


class WatchedRuns(NamedTuple):
    """Runs since a time: those that ended badly, and those that a profile weighs, newest first."""

    ended_badly: Sequence[AgentInstance]
    weighed: Sequence[AgentInstance]


class Alert(NamedTuple):
    """One alert. ``id`` is the run's with the kind behind it; ``at`` is when it came about."""

    id: str
    kind: AlertKind
    at: int
    run: AgentInstance
    risk_score: float | None = None
    risk_level: RiskLevel | None = None
    agreed_risk: RiskLevel | None = None


class Alerts(NamedTuple):
    """The alerts there are. ``complete`` says whether everything was looked at."""

    alerts: Sequence[Alert]
    complete: bool


def ended_alert(run: AgentInstance) -> Alert:
    """The alert about a run that failed or was terminated."""
    kind: AlertKind = "run_failed" if run.status == "failed" else "run_terminated"
    at = run.updated_at if run.finished_at is None else run.finished_at
    return Alert(f"{run.id}.{kind}", kind, at, run)


def risk_alert(run: AgentInstance, profile: RiskProfile, risk: RunRisk) -> Alert | None:
    """Return the alert about a run whose risk is above what its profile agrees to."""
    if not exceeds(risk.level, profile.agreed_risk):
        return None
    kind: AlertKind = "risk_exceeded"
    of_run = (f"{run.id}.{kind}", kind, run.inserted_at, run)
    return Alert(*of_run, risk.score, risk.level, profile.agreed_risk)


def count_alerts(run: AgentInstance, profile: RiskProfile | None, risk: RunRisk | None) -> int:
    """Return how many alerts there are about a run, however old it is."""
    count = int(run.status in ("failed", "terminated"))
    if profile is not None and risk is not None and risk_alert(run, profile, risk) is not None:
        count += 1
    return count


def paginate_alerts(alerts: Sequence[Alert], listing: Listing) -> Page[Alert]:
    """A page of alerts, ordered and cut as lists of stored rows are.

    Raises:
        ValidationFailed: the cursor cannot be one of this list.
    """

    def place(value: Any, row_id: str) -> tuple[Any, str]:
        return value, row_id

    def key(alert: Alert) -> tuple[Any, str]:
        return place(getattr(alert, listing.sort.field), alert.id)

    for one in listing.filters:
        alerts = [alert for alert in alerts if getattr(alert, one.column) == one.value]
    rows = sorted(alerts, key=key, reverse=listing.sort.descending)
    start = listing.offset
    if listing.after is not None:
        # Anybody can write a cursor.
        if rows and type(listing.after.value) is not type(key(rows[0])[0]):
            raise invalid("pagination[after]", "is not a cursor that this server gave")
        start, last = listing.after.position, place(listing.after.value, listing.after.id)
        passed = [key(row) >= last if listing.sort.descending else key(row) <= last for row in rows]
        left = [row for row, behind in zip(rows, passed, strict=True) if not behind]
    else:
        left = rows[start:]
    shown = left[: listing.page_size]
    following = None
    if len(left) > len(shown):
        value, row_id = key(shown[-1])
        following = Cursor(value, row_id, start + len(shown))
    return Page(shown, len(rows), following)
