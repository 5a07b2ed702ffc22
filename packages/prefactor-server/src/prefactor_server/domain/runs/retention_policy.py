"""The retention policy of an account: how many days after their end which runs are deleted.

A run follows one rule, the most specific that applies to it:

1. A rule for its agent comes before every rule that names no agent.
2. Among these, a rule for its environment comes before one that names no environment.
3. Among these, a rule for its purpose comes before one that names no purpose.

A run without a rule is kept forever, and so is one whose rule has no days.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Final, NamedTuple

from prefactor_server.domain.runs.agent_instance import Purpose
from prefactor_server.domain.runs.retention import EndedRun
from prefactor_server.domain.times import DAY_US

MAX_DAYS: Final = 36_500
MIN_AUDIT_DAYS: Final = 30
"""The log must be kept long enough for people to see what was deleted."""
MAX_RULES: Final = 100
"""The most rules of a policy. People read its changes in the audit log."""


class RetentionRule(NamedTuple):
    """A rule. A field of None matches every run. ``days`` of None keeps runs forever."""

    days: int | None
    agent_id: str | None = None
    environment_id: str | None = None
    purpose: Purpose | None = None

    @property
    def scope(self) -> tuple[str | None, str | None, str | None]:
        """The agent, environment and purpose that the rule matches."""
        return self.agent_id, self.environment_id, self.purpose

    @property
    def specificity(self) -> tuple[bool, bool, bool]:
        """A sort key: rules with a greater value are tried first."""
        agent_id, environment_id, purpose = self.scope
        return agent_id is not None, environment_id is not None, purpose is not None

    def __str__(self) -> str:
        """Describe the rule, for the audit log."""
        parts = [
            f"{name} {value}"
            for name, value in (
                ("agent", self.agent_id),
                ("environment", self.environment_id),
                ("purpose", self.purpose),
            )
            if value is not None
        ]
        kept = "forever" if self.days is None else f"{self.days} days"
        return f"{', '.join(parts) or 'all runs'}, kept {kept}"


class RetentionPolicy(NamedTuple):
    """The policy of an account. ``id`` is the account's, and ``rules`` is a JSON list.

    The audit log is kept for ``audit_days``, or forever if that is None.
    """

    id: str
    account_id: str
    inserted_at: int
    rules: str
    audit_days: int | None
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)

    def __str__(self) -> str:
        """Describe the policy, for the audit log."""
        rules = "; ".join(str(rule) for rule in read_rules(self.rules)) or "no rules"
        return f"{rules}; {describe_audit_days(self.audit_days)}"


class RetentionRules:
    """The rules of a policy, in the order in which they are tried."""

    def __init__(self, rules: Iterable[RetentionRule]) -> None:
        self.rules: Sequence[RetentionRule] = sorted(
            rules, key=lambda rule: rule.specificity, reverse=True
        )
        self._by_scope = {rule.scope: rule for rule in self.rules}

    def rule_for(self, run: EndedRun) -> RetentionRule | None:
        """Return the rule that a run follows, or None."""
        # The product begins with the most specific scope, and drops the agent last.
        scopes = product((run.agent_id, None), (run.environment_id, None), (run.purpose, None))
        return next((rule for one in scopes if (rule := self._by_scope.get(one))), None)

    def expired_rule(self, run: EndedRun, now: int) -> RetentionRule | None:
        """Return the rule by which a run has expired, or None. Legal holds are not considered."""
        rule = self.rule_for(run)
        before = None if rule is None else time_before(rule.days, now)
        return rule if before is not None and run.ended_at < before else None

    def ended_before(self, now: int) -> int | None:
        """Return the time after which no rule deletes an ended run, or None without such a rule."""
        return max(
            (before for rule in self.rules if (before := time_before(rule.days, now)) is not None),
            default=None,
        )


def time_before(days: int | None, now: int) -> int | None:
    """Return the time a number of days ago, or None if data is kept forever."""
    return None if days is None else now - days * DAY_US


def no_policy(account_id: str) -> RetentionPolicy:
    """Return the policy of an account that has none: everything is kept forever."""
    return RetentionPolicy(account_id, account_id, 0, rules_document(()), None, 0)


def describe_audit_days(days: int | None) -> str:
    """Describe how long the audit log is kept."""
    return "audit log, kept forever" if days is None else f"audit log, kept {days} days"


def rules_document(rules: Iterable[RetentionRule]) -> str:
    """Return rules as they are stored."""
    return json.dumps([rule._asdict() for rule in rules])


def read_rules(document: str) -> Sequence[RetentionRule]:
    """Return stored rules, in their order in the policy."""
    return [RetentionRule(**fields) for fields in json.loads(document)]
