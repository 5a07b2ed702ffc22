"""The writes of retention policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from prefactor_server.commands.agent import find_agent
from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.errors import FieldError, InvalidAction, ValidationFailed
from prefactor_server.domain.runs.retention_policy import (
    RetentionPolicy,
    RetentionRule,
    no_policy,
    read_rules,
    rules_document,
)
from prefactor_server.storage.base import Changes, Needs, Snapshot

_INVALID: Final = "invalid_value"
_CHANGED: Final = (
    "The retention policy has been changed since previous_updated_at: read it again, and send the "
    "change with its updated_at"
)


class UpdateRetentionPolicy(NamedTuple):
    """Change the account's policy.

    The rules stay if ``rules`` is None, and the audit days unless ``is_audit_days_given``. A rule
    names its agent by id or external identifier. If ``is_conditional``, the policy must have been
    updated last at ``previous_updated_at``, or never if that is None.
    """

    request: Request
    rules: Sequence[RetentionRule] | None
    audit_days: int | None
    is_audit_days_given: bool
    is_conditional: bool = False
    previous_updated_at: int | None = None
    operation: str = "retention_policies.update"

    def needs(self, needs: Needs) -> None:
        """Add the policy, and the agents and environments that its rules name."""
        needs.rows.add((RetentionPolicy, self.request.account_id))
        for rule in self.rules or ():
            if rule.agent_id is not None:
                needs.agents.add(rule.agent_id)
            if rule.environment_id is not None:
                needs.environments.add(rule.environment_id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the policy, and record who changed it to what."""
        account_id, now = self.request.account_id, self.request.now
        found = snapshot.get(RetentionPolicy, account_id)
        before = None if found is None else found.updated_at
        if self.is_conditional and self.previous_updated_at != before:
            raise InvalidAction(_CHANGED)
        # Every state has a time of its own, also if the clock was set back.
        updated_at = now if before is None else max(now, before + 1)
        policy = found or no_policy(account_id)._replace(inserted_at=now)
        policy = policy._replace(updated_at=updated_at)
        if self.rules is not None:
            rules = resolve_agents(self.rules, snapshot, read_rules(policy.rules))
            policy = policy._replace(rules=rules_document(rules))
        if self.is_audit_days_given:
            policy = policy._replace(audit_days=self.audit_days)
        entry = audit_entry(self.request, self.operation, policy.id, str(policy))
        changes = (
            Changes(inserted=(policy,), audit=(entry,))
            if found is None
            else Changes(updated=(policy,), audit=(entry,))
        )
        return Decision(changes, Done(policy.id, policy))


def resolve_agents(
    rules: Sequence[RetentionRule], snapshot: Snapshot, stored: Sequence[RetentionRule]
) -> Sequence[RetentionRule]:
    """Return the rules with the ids of their agents.

    The scope of a stored rule stays valid if its agent or environment is deleted.

    Raises:
        ValidationFailed: the account lacks an agent or environment, or two rules cover the same
            runs.
    """
    valid = {rule.scope for rule in stored}
    found: dict[tuple[str | None, ...], RetentionRule] = {}
    for index, named in enumerate(rules):
        rule = named if named.scope in valid else _by_id(index, named, snapshot)
        if found.setdefault(rule.scope, rule) is not rule:
            duplicate = FieldError(
                _INVALID, "an earlier rule covers the same runs: keep one of the two"
            )
            raise ValidationFailed({"rules": {str(index): duplicate}})
    return [*found.values()]


def _by_id(index: int, rule: RetentionRule, snapshot: Snapshot) -> RetentionRule:
    environment_id = rule.environment_id
    if environment_id is not None and snapshot.get(Environment, environment_id) is None:
        raise _unknown(index, "environment_id", f"{environment_id!r} is not an environment")
    if rule.agent_id is None:
        return rule
    agent = find_agent(snapshot, rule.agent_id)
    if agent is None:
        raise _unknown(index, "agent_id", f"{rule.agent_id!r} is not an agent")
    return rule._replace(agent_id=agent.id)


def _unknown(index: int, field: str, problem: str) -> ValidationFailed:
    error = FieldError(_INVALID, f"{problem} of this account")
    return ValidationFailed({"rules": {str(index): {field: error}}})
