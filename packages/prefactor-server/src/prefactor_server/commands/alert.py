"""The writes of alerts: raise and clear, in any status of the run."""

from __future__ import annotations

from typing import Final, NamedTuple

from prefactor_server.commands.agent_span import control_of, visible_instance
from prefactor_server.commands.base import Decision, Done, Request, Stale, audit_entry
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import Limit, NotFound, NotPermitted, invalid
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.alert import MAX_RAISED, Alert, AlertFacts
from prefactor_server.storage.base import Changes, Needs, Snapshot

_LIMIT: Final = "raised_alerts"


class RaiseAlert(NamedTuple):
    """Raise an alert of a run, or update the raised alert with this name.

    ``id`` is the id of a new alert. ``facts`` were derived with ``schema_version_id``.
    """

    request: Request
    principal: Principal
    id: str
    agent_instance_id: str
    name: str
    facts: AlertFacts
    schema_version_id: str | None
    operation: str = "alerts.raise"

    def needs(self, needs: Needs) -> None:
        """Add the run, its raised alert with this name, and the number of its raised alerts."""
        needs.instances.add(self.agent_instance_id)
        needs.alerts.add((self.agent_instance_id, self.name))
        needs.counts.add((_LIMIT, self.agent_instance_id))

    def decide(self, snapshot: Snapshot) -> Decision | Stale:
        """Store the alert, and update the run, so that its change reaches the change feed."""
        run = visible_instance(snapshot, self.agent_instance_id, self.principal)
        if run.agent_schema_version_id != self.schema_version_id:
            return Stale()
        now = self.request.now
        found = _raised(snapshot, run.id, self.name)
        if found is None and snapshot.is_full(_LIMIT, run.id, MAX_RAISED):
            raise invalid(
                "agent_instance_id",
                f"has {MAX_RAISED} raised alerts, the most that a run may have: clear one, or "
                "use the name of a raised one",
                Limit(_LIMIT, MAX_RAISED),
            )
        run = run._replace(updated_at=now)
        if found is None:
            alert = self._new(run, now)
            changes = Changes(inserted=(alert,), updated=(run,), counted=((_LIMIT, run.id, 1),))
        else:
            alert = found.update(self.facts, now)
            changes = Changes(updated=(alert, run))
        return Decision(changes, Done(alert.id, alert, control_of(run)))

    def _new(self, run: AgentInstance, now: int) -> Alert:
        facts = self.facts
        return Alert(
            id=self.id,
            account_id=run.account_id,
            agent_id=run.agent_id,
            agent_instance_id=run.id,
            environment_id=run.environment_id,
            name=self.name,
            raised_by="api",
            raised_at=now,
            title=facts.title,
            severity=facts.severity or facts.declared_severity,
            status="raised",
            cleared_at=None,
            payload=facts.payload or b"{}",
            problem=facts.problem,
            summary=facts.summary,
            dismissed=False,
            version=1,
            updated_at=now,
        )


class ClearAlert(NamedTuple):
    """Clear a run's raised alert by name. A deployment token cannot clear the server's own."""

    request: Request
    principal: Principal
    agent_instance_id: str
    name: str
    operation: str = "alerts.clear"

    def needs(self, needs: Needs) -> None:
        """Add the run, and its raised alert with this name."""
        needs.instances.add(self.agent_instance_id)
        needs.alerts.add((self.agent_instance_id, self.name))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Clear the alert, and record who did it."""
        run = visible_instance(snapshot, self.agent_instance_id, self.principal)
        found = _raised(snapshot, run.id, self.name)
        if found is None:
            raise NotFound(f"Agent instance {run.id!r} has no raised alert {self.name!r}")
        by_server = found.raised_by == "server"
        if by_server and self.principal.scope != "account":
            raise NotPermitted(
                f"The server raised {self.name!r}: clearing it needs a token of scope account; "
                f"this one has scope {self.principal.scope}"
            )
        now = self.request.now
        alert = found.clear(now, dismissed=by_server)
        # Only what operators do is recorded, not what agents do.
        by_operator = self.principal.scope == "account"
        entry = audit_entry(self.request, self.operation, alert.id, self.name)
        changes = Changes(
            updated=(alert, run._replace(updated_at=now)),
            audit=(entry,) if by_operator else (),
            counted=((_LIMIT, run.id, -1),),
        )
        return Decision(changes, Done(alert.id, alert, control_of(run)))


def _raised(snapshot: Snapshot, run_id: str, name: str) -> Alert | None:
    found = snapshot.get(Alert, run_id, "raised", name)
    # An earlier command of the batch may have cleared it. The lookup by id sees that.
    current = None if found is None else snapshot.get(Alert, found.id)
    return None if current is None or current.status == "cleared" else current
