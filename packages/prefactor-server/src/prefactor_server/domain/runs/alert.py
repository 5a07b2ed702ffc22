"""Alerts: notes that a run needs attention. They are kept after they are cleared.

    raise            → raised          (a raised alert of the same run and name is updated instead)
    raised   clear   → cleared         (final: the next raise of the name creates another alert)

Agents and people raise alerts under names of their choice. The server raises its own alerts under
reserved names, and clears them when their cause is gone.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias, get_args

AlertSeverity: TypeAlias = Literal["info", "warning", "critical"]
AlertStatus: TypeAlias = Literal["raised", "cleared"]
AlertOrigin: TypeAlias = Literal["api", "server"]

SEVERITIES: Final[tuple[AlertSeverity, ...]] = get_args(AlertSeverity)
"""In ascending order."""
STATUSES: Final[tuple[AlertStatus, ...]] = get_args(AlertStatus)
DEFAULT_SEVERITY: Final[AlertSeverity] = "warning"

RESERVED_NAMES: Final = (
    "run.failed",
    "run.terminated",
    "run.abandoned",
    "risk.exceeded",
    "cost.exceeded",
)
"""The names under which only the server raises alerts."""

ALERTS_CONSUMER: Final = "alerts"
"""The consumer of the change feed that raises and clears the server's alerts."""

FIRST_VERSION: Final = 1
"""The ``version`` of an alert that was raised once and did not change since."""
MAX_RAISED: Final = 1000
"""The most alerts of one run that may be raised at the same time."""
MAX_PAYLOAD_BYTES: Final = 64 * 1024
"""The largest payload of an alert. A list shows up to a hundred alerts."""


def declared_severity(severity: object) -> AlertSeverity:
    """Return the severity that an alert schema declares, or the default if it is unknown."""
    return severity if severity in SEVERITIES else DEFAULT_SEVERITY


class AlertFacts(NamedTuple):
    """Facts about an alert, from the request and the schema, from before it is raised.

    ``severity`` and ``payload``, which is JSON, are None when the request does not set them.
    ``declared_severity`` is the severity of the alert schema of this name. ``problem`` explains a
    mismatch with that schema. It is empty without one, and None when nothing was checked.
    """

    title: str
    severity: AlertSeverity | None
    declared_severity: AlertSeverity
    payload: bytes | None
    problem: str | None
    summary: str | None


class Alert(NamedTuple):
    """One alert of a run. A run has at most one raised alert of each name.

    ``dismissed`` means that a caller cleared it while its cause persisted, so that the server does
    not raise it again for the same cause. ``version`` counts its changes from 1.
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
        """Return its keys: its id and, while it is raised, its run and name."""
        if self.status == "cleared":
            return ((self.id,),)
        return ((self.id,), (self.agent_instance_id, "raised", self.name))

    def update(self, facts: AlertFacts, now: int) -> Alert:
        """Return the alert after it was raised again. Fields that are not set stay."""
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
