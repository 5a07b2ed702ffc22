"""The reads of retention policies, and previews of their deletions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.runs.retention_policy import (
    RetentionPolicy,
    RetentionRule,
    RetentionRules,
    no_policy,
)
from prefactor_server.storage.base import Snapshot, Storage
from prefactor_server.storage.maintenance import old_runs

MAX_EXAMINED: Final = 50_000
"""The most old runs that a preview counts."""


class DueRuns(NamedTuple):
    """What a rule would delete now, and the number of expired runs under a legal hold."""

    rule: RetentionRule
    runs: int = 0
    spans: int = 0
    held_runs: int = 0


class DuePreview(NamedTuple):
    """What a policy would delete now, by rule; at least that much if not ``is_complete``."""

    rules: Sequence[DueRuns]
    is_complete: bool


class RetentionPolicyQueries:
    """Reads retention policies, for callers who may see the whole account."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal) -> RetentionPolicy:
        """Return the policy of the caller's account."""
        account_id = principal.account_id
        found = await self._storage.row(RetentionPolicy, account_id, account_id)
        return found or no_policy(account_id)

    async def named(self, principal: Principal, rules: Sequence[RetentionRule]) -> Snapshot:
        """Return a snapshot of the agents and environments that rules name."""
        account_id = principal.account_id
        agents = {rule.agent_id for rule in rules if rule.agent_id is not None}
        found = [await self._storage.agent(account_id, ref) for ref in sorted(agents)]
        environments = {rule.environment_id for rule in rules if rule.environment_id is not None}
        return Snapshot(
            [
                *(record.agent for record in found if record is not None),
                *await self._storage.rows_by_id(Environment, account_id, environments),
            ]
        )

    async def preview(self, principal: Principal, rules: RetentionRules, now: int) -> DuePreview:
        """Count what rules would delete now, up to ``MAX_EXAMINED`` old runs."""
        due = {rule: DueRuns(rule) for rule in rules.rules}
        before = rules.ended_before(now)
        if before is None:
            return DuePreview([*due.values()], is_complete=True)
        examined = 0
        async for runs in old_runs(self._storage.maintenance, principal.account_id, before):
            if examined >= MAX_EXAMINED:
                return DuePreview([*due.values()], is_complete=False)
            examined += len(runs)
            for run in runs:
                rule = rules.expired_rule(run, now)
                if rule is None:
                    continue
                one = due[rule]
                due[rule] = (
                    one._replace(held_runs=one.held_runs + 1)
                    if run.is_held
                    else one._replace(runs=one.runs + 1, spans=one.spans + run.spans)
                )
        return DuePreview([*due.values()], is_complete=True)
