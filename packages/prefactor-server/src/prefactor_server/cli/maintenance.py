"""The commands of ``prefactor-server`` that maintain a database: verify, prune, hold and backup."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import cyclopts

from prefactor_server.bootstrap import CLI_ACTOR
from prefactor_server.cli.flags import Database, Json, Switch, WholeNumber
from prefactor_server.cli.output import Column, out, print_rows
from prefactor_server.cli.with_database import run as run_work
from prefactor_server.cli.with_database import settings_for, with_storage
from prefactor_server.databases import back_up_database
from prefactor_server.domain.account import Account
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.runs.legal_hold import LegalHold, check_reason
from prefactor_server.domain.runs.retention import PartitionRun, Pruned, Retention
from prefactor_server.domain.times import DAY_US, format_time
from prefactor_server.settings import Settings, check_range
from prefactor_server.storage.base import Storage
from prefactor_server.storage.clock import now_us
from prefactor_server.storage.maintenance import Maintenance, prune_record
from prefactor_server.storage.verify import Finding
from prefactor_server.upkeep.pace import paced
from prefactor_server.upkeep.partition_retention import Due, empty_if_due

T = TypeVar("T")

_KEY_SLICE: Final = 1000
_MAX_SHOWN: Final = 1000
_MAX_DAYS: Final = 36_500
_HOLD_COLUMNS: Final = (
    Column("agent_instance_id", "run"),
    Column("inserted_at", "held since"),
    Column("reason", "reason"),
)
_FINDING_COLUMNS: Final = tuple(Column(name, name) for name in Finding._fields)

hold_cli = cyclopts.App(name="hold", help="Keep runs from being pruned.")


def verify(*, json: Json = False, database: Database = None) -> None:
    """Check that all stored data is consistent."""
    found = run_work(_verify(settings_for(database), as_json=json))
    if not json:
        noun = "inconsistency" if found == 1 else "inconsistencies"
        out.print(f"found {found} {noun}" if found else "found no inconsistencies")
    if found:
        sys.exit(1)


def prune(
    *,
    days: WholeNumber,
    agent: str | None = None,
    environment: str | None = None,
    dry_run: Switch = False,
    database: Database = None,
) -> None:
    """Delete runs that ended some time ago, with their spans and payloads.

    Parameters
    ----------
    days
        Delete runs that ended more than this many days ago, 0 to 36500.
    agent
        Only runs of this agent, by its id or external identifier.
    environment
        Only runs in this environment, by its id.
    dry_run
        Only report what would be deleted.
    """
    check_range("--days", days, 0, _MAX_DAYS)
    # Deleting must work on a full disk, because it frees space.
    settings = replace(settings_for(database), min_free_disk_bytes=0)
    run_work(_prune(settings, days, agent, environment, dry_run=dry_run))


@hold_cli.command(name="add")
def hold_add(run: str, /, *, reason: str, database: Database = None) -> None:
    """Keep a run, regardless of its age, until the hold is removed.

    Parameters
    ----------
    run
        The run's id.
    reason
        The reason, which ``hold list`` shows and the audit log keeps.
    """
    check_reason(reason)

    async def add(maintenance: Maintenance, account: Account) -> bool:
        now = now_us()
        entry = AuditEntry(account.id, now, CLI_ACTOR, "legal_holds.add", run, reason)
        return await maintenance.add_hold(LegalHold(account.id, run, reason, now), entry)

    run_work(_in_each_account(settings_for(database), add, f"There is no run {run!r}"))
    out.print(f"held {run}", markup=False)


@hold_cli.command(name="remove")
def hold_remove(run: str, /, *, database: Database = None) -> None:
    """Allow a run to be pruned again.

    Parameters
    ----------
    run
        The run's id.
    """

    async def remove(maintenance: Maintenance, account: Account) -> bool:
        entry = AuditEntry(account.id, now_us(), CLI_ACTOR, "legal_holds.remove", run, None)
        return await maintenance.remove_hold(account.id, run, entry)

    run_work(_in_each_account(settings_for(database), remove, f"Run {run!r} has no hold"))
    out.print(f"removed the hold of {run}", markup=False)


@hold_cli.command(name="list")
def hold_list(*, json: Json = False, database: Database = None) -> None:
    """List the runs on hold, with the reasons."""

    async def read(storage: Storage, maintenance: Maintenance) -> Sequence[LegalHold]:
        return [
            hold
            for account in await storage.accounts()
            for hold in await maintenance.holds(account.id)
        ]

    holds = run_work(_with_database(settings_for(database), read))
    rows = [(hold.agent_instance_id, format_time(hold.inserted_at), hold.reason) for hold in holds]
    print_rows(_HOLD_COLUMNS, rows, as_json=json)


def backup(target: Path, /, *, database: Database = None) -> None:
    """Copy the database to a new file, and read the copy to verify it.

    Parameters
    ----------
    target
        The file to create, which must not exist: a copy of a SQLite database that can replace it,
        or an archive of a PostgreSQL database for pg_restore, written by pg_dump.
    """
    back_up_database(settings_for(database).database, target, os.environ)
    out.print(f"backed up to {target}: {target.stat().st_size} bytes, verified", markup=False)


async def _verify(settings: Settings, *, as_json: bool) -> int:
    async def work(_storage: Storage, maintenance: Maintenance) -> int:
        found = 0
        async for finding in maintenance.verify():
            found += 1
            if found > _MAX_SHOWN:
                continue
            if as_json:
                print_rows(_FINDING_COLUMNS, [finding], as_json=True)
            else:
                out.print(str(finding), markup=False)
        return found

    return await _with_database(settings, work)


async def _prune(
    settings: Settings, days: int, agent: str | None, environment: str | None, *, dry_run: bool
) -> None:
    now = now_us()

    async def work(storage: Storage, maintenance: Maintenance) -> None:
        accounts = await storage.accounts()
        if environment is not None:
            await _check_environment(storage, accounts, environment)
        total, held, known = Pruned(), 0, agent is None
        if agent is None and environment is None and not dry_run:
            total = await _empty_partitions(maintenance, now - days * DAY_US, now)
        for account in accounts:
            retention = Retention(account.id, now - days * DAY_US, None, environment)
            if agent is not None:
                record = await storage.agent(account.id, agent)
                if record is None:
                    continue
                known, retention = True, retention._replace(agent_id=record.agent.id)
            held += await maintenance.held(retention)
            if dry_run:
                total = total.plus(await maintenance.preview(retention))
            else:
                total = total.plus(await _prune_all(maintenance, retention, now))
        if not known:
            raise NotFound(f"There is no agent {agent!r}")
        keys = 0 if dry_run else await _forget_keys(storage, settings, now)
        _report(total, held, keys, dry_run=dry_run)

    await _with_database(settings, work)


async def _check_environment(
    storage: Storage, accounts: Sequence[Account], environment: str
) -> None:
    for account in accounts:
        if await storage.row(Environment, account.id, environment) is not None:
            return
    raise NotFound(f"There is no environment with the id {environment!r}")


async def _empty_partitions(maintenance: Maintenance, before: int, now: int) -> Pruned:
    """Empty the partitions in which all runs of all accounts ended before a time."""

    def due(one: PartitionRun) -> Due | None:
        record = prune_record(Retention(one.account_id, before), now, CLI_ACTOR)
        return Due(record, before) if one.run.ended_at < before else None

    total = Pruned()
    for partition in await maintenance.partitions():
        if partition.ends_at <= before:
            total = total.plus(await empty_if_due(maintenance, partition, due, now))
    return total


async def _prune_all(maintenance: Maintenance, retention: Retention, now: int) -> Pruned:
    total = Pruned()
    while True:
        # At first those that a killed process has left, then those of the last slice.
        while await paced(maintenance.delete_remaining_spans()):
            pass
        pruned = await maintenance.prune(retention, now, CLI_ACTOR)
        if pruned == Pruned():
            return total
        total = total.plus(pruned)


async def _forget_keys(storage: Storage, settings: Settings, now: int) -> int:
    before, keys = now - settings.idempotency_days * DAY_US, 0
    while slice_size := await storage.forget_keys(before, _KEY_SLICE):
        keys += slice_size
    return keys


def _report(total: Pruned, held: int, keys: int, *, dry_run: bool) -> None:
    verb = "would delete" if dry_run else "deleted"
    out.print(
        f"{verb} {total.runs} runs, {total.spans} spans and {total.payload_bytes} bytes of payloads"
    )
    if held:
        out.print(f"kept {held} runs that are old enough but on hold")
    if keys:
        out.print(f"deleted {keys} idempotency keys")


async def _in_each_account(
    settings: Settings,
    work: Callable[[Maintenance, Account], Coroutine[Any, Any, bool]],
    otherwise: str,
) -> None:
    # Ids are unique per account. If several accounts have this run, the command is for each.
    async def everywhere(storage: Storage, maintenance: Maintenance) -> None:
        done = [await work(maintenance, account) for account in await storage.accounts()]
        if not any(done):
            raise NotFound(otherwise)

    await _with_database(settings, everywhere)


async def _with_database(
    settings: Settings, work: Callable[[Storage, Maintenance], Coroutine[Any, Any, T]]
) -> T:
    return await with_storage(settings, lambda storage: work(storage, storage.maintenance))
