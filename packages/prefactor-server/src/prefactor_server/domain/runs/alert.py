"""Alerts: what somebody may want to look at about a run, kept until it is cleared and after that.

    raise            → raised          (while one of the same run and name is raised: it is updated)
    raised   clear   → cleared         (final: the next raise of the name makes another alert)

Agents and people raise alerts under names of their own. The server raises what it finds out itself,
under reserved names, and clears it when the cause is gone.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias, get_args

AlertSeverity: TypeAlias = Literal["info", "warning", "critical"]
AlertStatus: TypeAlias = Literal["raised", "cleared"]
AlertOrigin: TypeAlias = Literal["api", "server"]

SEVERITIES: Final[tuple[AlertSeverity, ...]] = get_args(AlertSeverity)
"""From the least to the most severe."""
STATUSES: Final[tuple[AlertStatus, ...]] = get_args(AlertStatus)
DEFAULT_SEVERITY: Final[AlertSeverity] = "warning"

RESERVED_NAMES: Final = (
    "run.failed",
    "run.terminated",
    "run.abandoned",
    "risk.exceeded",
    "cost.exceeded",
)
"""The names that only the server raises alerts under."""

ALERTS_CONSUMER: Final = "alerts"
"""The consumer of the change feed that raises and clears the server's own alerts."""

MAX_RAISED: Final = 1000
"""How many alerts of one run may be raised at a time."""
MAX_PAYLOAD_BYTES: Final = 64 * 1024
"""The largest payload of an alert. A list shows up to a hundred of them."""


def declared_severity(severity: object) -> AlertSeverity:
    """Return the severity of an alert schema; one that declares no known one has the default."""
    return severity if severity in SEVERITIES else DEFAULT_SEVERITY


class AlertFacts(NamedTuple):
    """What was found out about an alert before it is raised.

    ``severity`` and ``payload``, which is JSON, are None when the request does not say them;
    ``declared_severity`` is that of the alert schema of this name. ``problem`` says what is wrong
    with the payload by that schema, is empty when nothing is, and None when nothing was checked.
    """

    title: str
    severity: AlertSeverity | None
    declared_severity: AlertSeverity
    payload: bytes | None
    problem: str | None
    summary: str | None


class Alert(NamedTuple):
    """One alert of a run. At most one of each name is raised at a time.

    ``dismissed`` means that a caller cleared it while the server still saw its cause, so that the
    server does not raise it again for the same cause. ``version`` counts its changes, from 1.
    """

    id: str
    account_id: str
    agent_id: str
    agent_instance_id: str
    environment_id: str
    name: str
    raised_by: AlertOrigin
    raised_at: int
    title: str
    severity: AlertSeverity
    status: AlertStatus
    cleared_at: int | None
    payload: bytes
    problem: str | None
    summary: str | None
    dismissed: bool
    version: int
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return keys by its id and, while it is raised, by its run and name."""
        if self.status == "cleared":
            return ((self.id,),)
        return ((self.id,), (self.agent_instance_id, "raised", self.name))

    def update(self, facts: AlertFacts, now: int) -> Alert:
        """Return the alert after it was raised again; what the request does not say stays."""
        updated = self._replace(
            title=facts.title,
            severity=facts.severity or self.severity,
            version=self.version + 1,
            updated_at=now,
        )
        if facts.payload is None:
            return updated
        return updated._replace(payload=facts.payload, problem=facts.problem, summary=facts.summary)

    def clear(self, now: int, *, dismissed: bool) -> Alert:
        """Return the alert, cleared."""
        return self._replace(
            status="cleared",
            cleared_at=max(now, self.raised_at),
            dismissed=dismissed,
            version=self.version + 1,
            updated_at=now,
        )
