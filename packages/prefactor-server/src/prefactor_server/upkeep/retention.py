"""Applies the retention policies of all accounts, on one server at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import structlog

from prefactor_server.background import repeat
from prefactor_server.domain.errors import Refusal
from prefactor_server.domain.runs.retention import Deletion, DeletionRecord, EndedRun
from prefactor_server.domain.runs.retention_policy import (
    RetentionPolicy,
    RetentionRule,
    RetentionRules,
    describe_audit_days,
    read_rules,
    time_before,
)
from prefactor_server.follower.lease import Lease
from prefactor_server.storage.base import Storage
from prefactor_server.storage.maintenance import RUN_SLICE, SPAN_SLICE, first_slice, old_runs
from prefactor_server.upkeep.pace import paced
from prefactor_server.upkeep.partition_retention import PartitionRetention, policy_record

_log = structlog.get_logger("prefactor_server")

_LOOK_EVERY_SECONDS: Final = 60.0


class _Interrupted(Exception):
    """Another server holds the lease, or the policy was changed."""


class RetentionTask:
    """Deletes expired runs and audit entries, in slices.

    The audit log's entry about a slice is in the same transaction as the slice. If a server is
    killed, the next application deletes the rest. ``holder`` names this server.
    """

    def __init__(
        self, storage: Storage, holder: str, now_us: Callable[[], int], interval_seconds: int
    ) -> None:
        self._storage = storage
        self._maintenance = storage.maintenance
        self._now_us = now_us
        self._interval_seconds = interval_seconds
        self._lease = Lease(storage.feed, holder, now_us, name="retention")
        self._partitions = PartitionRetention(storage.maintenance, now_us)
        self._applied: dict[str, RetentionPolicy] = {}

    async def run(self) -> None:
        """Apply the policies repeatedly, and changed ones soon, until cancelled.

        After a failure it goes on where it stopped.
        """
        if not self._interval_seconds:
            return
        pause = min(self._interval_seconds, _LOOK_EVERY_SECONDS)
        loop = asyncio.get_running_loop()
        next_at = 0.0

        async def step() -> float:
            nonlocal next_at
            if loop.time() >= next_at:
                self._applied.clear()
                next_at = loop.time() + self._interval_seconds
            await self.turn()
            return pause

        await asyncio.sleep(pause)
        try:
            await repeat(step, task="retention", max_retry_seconds=pause)
        finally:
            # Without the release, the lease expires.
            with suppress(Refusal):
                await self._lease.release()

    async def turn(self) -> None:
        """Apply the policy of each account, if no other server does that now.

        Policies that this task has applied before are left out, unless they were changed since.

        Raises:
            Unavailable: the database cannot be used now; the rest is done the next time.
        """
        accounts = [account.id for account in await self._storage.accounts()]
        found = [await self._policy(account_id) for account_id in accounts]
        policies = {policy.account_id: policy for policy in found if policy is not None}
        changed = [policy for policy in policies.values() if self._applied.get(policy.id) != policy]
        if not changed:
            return
        with suppress(_Interrupted):
            await self._partitions.empty_old(policies, self._check)
        for policy in changed:
            with suppress(_Interrupted):
                await self._apply(policy)
                self._applied[policy.id] = policy
        await self._lease.release()

    async def _apply(self, policy: RetentionPolicy) -> None:
        now = self._now_us()
        await self._delete_runs(policy, now)
        before = time_before(policy.audit_days, now)
        if before is None:
            return
        record = policy_record(policy, now, describe_audit_days(policy.audit_days))
        while True:
            await self._check(policy)
            deleted = await paced(self._maintenance.delete_audit_entries(before, record))
            if not deleted.audit_entries:
                return
            record = record.plus(deleted)

    async def _delete_runs(self, policy: RetentionPolicy, now: int) -> None:
        rules = RetentionRules(read_rules(policy.rules))
        ended_before = rules.ended_before(now)
        if ended_before is None:
            return
        records: dict[RetentionRule, DeletionRecord] = {}
        async for runs in old_runs(self._maintenance, policy.account_id, ended_before):
            for rule, due in self._by_rule(rules, runs, now).items():
                record = records.get(rule) or policy_record(policy, now, str(rule))
                records[rule] = await self._delete(policy, rule, due, record)

    async def _delete(
        self,
        policy: RetentionPolicy,
        rule: RetentionRule,
        due: Sequence[EndedRun],
        record: DeletionRecord,
    ) -> DeletionRecord:
        left = [(run.id, run.spans) for run in due]
        before = time_before(rule.days, record.at)
        while left and before is not None:
            await self._check(policy)
            ids = first_slice(left[:RUN_SLICE], SPAN_SLICE)
            deletion = Deletion(policy.account_id, ids, before, self._now_us(), record)
            record = record.plus(await paced(self._maintenance.delete_runs(deletion)))
            while await paced(self._maintenance.delete_remaining_spans()):
                pass
            left = left[len(ids) :]
        return record

    def _by_rule(
        self, rules: RetentionRules, runs: Sequence[EndedRun], now: int
    ) -> Mapping[RetentionRule, Sequence[EndedRun]]:
        due: dict[RetentionRule, list[EndedRun]] = {}
        for run in runs:
            rule = rules.expired_rule(run, now)
            if rule is None or run.is_held or self._partitions.will_empty(run, rule, now):
                continue
            due.setdefault(rule, []).append(run)
        return due

    async def _check(self, policy: RetentionPolicy) -> None:
        """Raise _Interrupted if this server has lost the lease or the policy has changed."""
        if not await self._lease.take() or await self._policy(policy.account_id) != policy:
            raise _Interrupted

    async def _policy(self, account_id: str) -> RetentionPolicy | None:
        return await self._storage.row(RetentionPolicy, account_id, account_id)
