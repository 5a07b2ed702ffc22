"""The writes of risk profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from prefactor_server.commands.alert_review import need_review, request_review
from prefactor_server.commands.base import Decision, Done, Request, audit_entry, time_of_change
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.errors import InvalidAction
from prefactor_server.domain.risk.risk_profile import RiskProfile, require_profile
from prefactor_server.storage.base import Changes, Needs, Snapshot


class CreateRiskProfile(NamedTuple):
    """Create a profile."""

    request: Request
    profile: RiskProfile
    operation: str = "risk_profiles.create"

    def needs(self, needs: Needs) -> None:
        """Add an existing profile with the same id."""
        needs.rows.add((RiskProfile, self.profile.id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the profile, and record who created it."""
        profile = self.profile
        if snapshot.get(RiskProfile, profile.id) is not None:
            raise InvalidAction(f"A risk profile with the id {profile.id!r} already exists")
        changes = Changes(inserted=(profile,), audit=(_entry(self, profile),))
        return Decision(changes, Done(profile.id, profile))


class UpdateRiskProfile(NamedTuple):
    """Change some fields of a profile, if it was updated last at ``previous_updated_at``."""

    request: Request
    id: str
    fields: Mapping[str, Any]
    previous_updated_at: int | None = None
    operation: str = "risk_profiles.update"

    def needs(self, needs: Needs) -> None:
        """Add the profile, and the review that its change requires."""
        needs.rows.add((RiskProfile, self.id))
        need_review(needs, "risk_profile", self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Change the profile, and record who did it."""
        found = require_profile(snapshot.get(RiskProfile, self.id), self.id)
        now = time_of_change(
            "risk profile", self.request, found.updated_at, self.previous_updated_at
        )
        profile = found._replace(**self.fields, updated_at=now)
        return _changed(self, snapshot, profile)


class DeleteRiskProfile(NamedTuple):
    """Delete a profile. Its agents keep its id, but no longer have scores."""

    request: Request
    id: str
    operation: str = "risk_profiles.delete"

    def needs(self, needs: Needs) -> None:
        """Add the profile, and the review that its deletion requires."""
        needs.rows.add((RiskProfile, self.id))
        need_review(needs, "risk_profile", self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Delete the profile, and record who did it."""
        found = require_profile(snapshot.get(RiskProfile, self.id), self.id)
        now = self.request.now
        return _changed(self, snapshot, found._replace(deleted_at=now, updated_at=now))


def _changed(
    command: UpdateRiskProfile | DeleteRiskProfile, snapshot: Snapshot, profile: RiskProfile
) -> Decision:
    changes = Changes(updated=(profile,), audit=(_entry(command, profile),))
    now = command.request.now
    changes = request_review(
        changes, snapshot, profile.account_id, kind="risk_profile", subject_id=profile.id, now=now
    )
    return Decision(changes, Done(profile.id, profile))


def _entry(
    command: CreateRiskProfile | UpdateRiskProfile | DeleteRiskProfile, profile: RiskProfile
) -> AuditEntry:
    return audit_entry(command.request, command.operation, profile.id, profile.name)
