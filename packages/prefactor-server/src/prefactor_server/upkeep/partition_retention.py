"""Empties partitions in which every run has expired under the policy of its account."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

import structlog

from prefactor_server.domain.runs.retention import (
    Deletion,
    DeletionRecord,
    EndedRun,
    Partition,
    PartitionRun,
    Pruned,
)
from prefactor_server.domain.runs.retention_policy import (
    RetentionPolicy,
    RetentionRule,
    RetentionRules,
    read_rules,
    time_before,
)
from prefactor_server.domain.times import DAY_US
from prefactor_server.storage.maintenance import Maintenance

_log = structlog.get_logger("prefactor_server")

_ACTOR: Final = "server"


class PartitionRetention:
    """Empties partitions that have expired as a whole.

    This costs next to nothing, unless rows were deleted one by one before. The runs of a day's
    partition therefore stay until the whole day has expired, at most a day longer.
    """

    def __init__(self, maintenance: Maintenance, now_us: Callable[[], int]) -> None:
        self._maintenance = maintenance
        self._now_us = now_us
        self._partitions: Sequence[Partition] = ()
        self._again_at: dict[str, int] = {}

    def will_empty(self, run: EndedRun, rule: RetentionRule, now: int) -> bool:
        """Return whether an expired run stays until the whole day of its partition has expired."""
        before = time_before(rule.days, now)
        return before is not None and any(
            one.is_short and one.low <= run.id < one.high and one.ends_at > before
            for one in self._partitions
        )

    async def empty_old(
        self,
        policies: Mapping[str, RetentionPolicy],
        check: Callable[[RetentionPolicy], Awaitable[None]],
    ) -> None:
        """Empty the partitions in which all runs have expired, after a ``check`` of each policy.

        A partition that cannot be emptied is tried again after a day, because all of it is read.
        """
        now = self._now_us()
        self._partitions = await self._maintenance.partitions()
        rules = {
            account_id: RetentionRules(read_rules(policy.rules))
            for account_id, policy in policies.items()
        }
        oldest = [before for one in rules.values() if (before := one.ended_before(now)) is not None]
        for partition in self._partitions:
            due = oldest and partition.ends_at <= max(oldest)
            if due and self._again_at.get(partition.name, 0) <= now:
                for policy in policies.values():
                    await check(policy)
                if not await self._empty(partition, policies, rules, now):
                    self._again_at[partition.name] = now + DAY_US

    async def _empty(
        self,
        partition: Partition,
        policies: Mapping[str, RetentionPolicy],
        rules: Mapping[str, RetentionRules],
        now: int,
    ) -> bool:
        def due(one: PartitionRun) -> Due | None:
            of_account = rules.get(one.account_id)
            rule = None if of_account is None else of_account.expired_rule(one.run, now)
            before = None if rule is None else time_before(rule.days, now)
            if before is None:
                return None
            return Due(policy_record(policies[one.account_id], now, str(rule)), before)

        return await empty_if_due(self._maintenance, partition, due, now) != Pruned()


class Due(NamedTuple):
    """Why a run is deleted: the audit log's record, and the time before which the run ended."""

    record: DeletionRecord
    ended_before: int


async def empty_if_due(
    maintenance: Maintenance,
    partition: Partition,
    due: Callable[[PartitionRun], Due | None],
    now: int,
) -> Pruned:
    """Empty a partition if all of its runs are due. Return what was deleted, or nothing."""
    runs = await maintenance.runs_of_partition(partition)
    found: defaultdict[Due, list[str]] = defaultdict(list)
    for one in runs or ():
        reason = due(one)
        if reason is None:
            return Pruned()
        found[reason].append(one.run.id)
    deletions = [
        Deletion(reason.record.account_id, ids, reason.ended_before, now, reason.record)
        for reason, ids in found.items()
    ]
    pruned = await maintenance.empty_partition(partition, runs, deletions) if runs else None
    if not runs or pruned is None:
        return Pruned()
    _log.info("partition_emptied", partition=partition.name, runs=len(runs))
    return pruned


def policy_record(policy: RetentionPolicy, now: int, rule: str) -> DeletionRecord:
    """Return the audit log's record of an application of a policy."""
    return DeletionRecord(
        policy.account_id, now, _ACTOR, "retention_policies.apply", policy.id, rule
    )
