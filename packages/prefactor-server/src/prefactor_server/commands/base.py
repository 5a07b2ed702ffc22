"""Commands, their outcomes, and the decision of a batch of commands.

A command is an immutable value that holds everything it needs besides stored rows: the time, fresh
ids, the checked and compressed payload. ``needs`` names the rows to load, and ``decide`` returns
what changes. A refused command changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from prefactor_server.commands.runs.run_quality import store_quality
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.errors import InvalidAction, Refusal
from prefactor_server.domain.idempotency import IdempotencyKey
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.quality import InstanceQuality, RunQuality
from prefactor_server.storage.base import Changes, Needs, Row, Snapshot


class Control(msgspec.Struct, frozen=True, gc=False):
    """The signal to the agent of a terminated run, with the operator's reason."""

    reason: str | None


class Done(msgspec.Struct, frozen=True, gc=False):
    """The outcome of a command that took effect: the row that it is about, as it is now.

    If ``replayed``, the request repeats an earlier one: nothing was done, ``row`` is None, and
    ``resource_id`` is the id of what the first request created or changed. ``quality`` and
    ``metadata`` belong to a run.
    """

    resource_id: str
    row: Row | None = None
    control: Control | None = None
    replayed: bool = False
    quality: RunQuality | InstanceQuality | None = None
    metadata: InstanceMetadata | None = None


class Refused(msgspec.Struct, frozen=True):
    """The outcome of a command that was refused. It changed nothing."""

    refusal: Refusal


class Stale(msgspec.Struct, frozen=True, gc=False):
    """The command was prepared from rows that have changed since. It must be prepared again."""


Outcome: TypeAlias = Done | Refused | Stale


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The changes of a command, and its outcome."""

    changes: Changes
    done: Done


class Request(msgspec.Struct, frozen=True, gc=False):
    """The request of a command.

    ``fingerprint`` covers the whole request except its key. ``actor`` is the id of the caller's
    token, and ``deployment_id`` the deployment that a deployment token belongs to.
    """

    account_id: str
    actor: str
    now: int
    key: str | None = None
    fingerprint: bytes = b""
    deployment_id: str | None = None

    def stored_key(self, key: str) -> str:
        """Return the key as it is stored: in a namespace of the deployment, or of the account.

        A shared namespace would reveal to one deployment which keys another has used. No key
        contains a line break, so the two parts are unambiguous.
        """
        return key if self.deployment_id is None else f"{self.deployment_id}\n{key}"


def audit_entry(
    request: Request, action: str, resource_id: str, detail: str | None = None
) -> AuditEntry:
    """Return the audit log's entry for what a request did."""
    return AuditEntry(request.account_id, request.now, request.actor, action, resource_id, detail)


def time_of_change(noun: str, request: Request, before: int, previous: int | None) -> int:
    """Return the ``updated_at`` of a changed row. Every state of a row has a different one.

    Raises:
        InvalidAction: the row was changed after ``previous``, its ``updated_at`` that the change is
            based on.
    """
    if previous not in (None, before):
        raise InvalidAction(
            f"The {noun} has been changed since previous_updated_at: read it again, and send the "
            "change with its updated_at"
        )
    # The clock may have been set back, or two changes may have the same microsecond.
    return max(request.now, before + 1)


class Command(Protocol):
    """One write. ``operation`` is its name, and the scope of its idempotency keys."""

    @property
    def operation(self) -> str:
        """The name of the operation."""
        ...

    @property
    def request(self) -> Request:
        """The request that the command carries out."""
        ...

    def needs(self, needs: Needs) -> None:
        """Add the rows that ``decide`` reads."""
        ...

    def decide(self, snapshot: Snapshot) -> Decision | Stale:
        """Return what changes.

        Raises:
            Refusal: the command cannot be carried out.
        """
        ...


class Submission(msgspec.Struct, frozen=True):
    """The commands of one request, decided in order up to the first that fails."""

    commands: Sequence[Command]
    size: int


def collect_needs(submissions: Sequence[Submission]) -> dict[str, Needs]:
    """Return the rows that a batch needs, by account."""
    by_account: dict[str, Needs] = {}
    for submission in submissions:
        for command in submission.commands:
            request = command.request
            needs = by_account.get(request.account_id)
            if needs is None:
                needs = by_account[request.account_id] = Needs()
            if request.key is not None:
                needs.keys.add((command.operation, request.stored_key(request.key)))
            command.needs(needs)
    return by_account


def decide_batch(
    submissions: Sequence[Submission], snapshots: Mapping[str, Snapshot]
) -> list[list[Outcome]]:
    """Decide a batch in order. A submission's outcomes end with the first failure."""
    outcomes = [_decide_submission(submission, snapshots) for submission in submissions]
    for snapshot in snapshots.values():
        store_quality(snapshot)
    return outcomes


def _decide_submission(submission: Submission, snapshots: Mapping[str, Snapshot]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for command in submission.commands:
        outcome = decide_command(command, snapshots[command.request.account_id])
        outcomes.append(outcome)
        if not isinstance(outcome, Done):
            break
    return outcomes


def decide_command(command: Command, snapshot: Snapshot) -> Outcome:
    """Decide one command, at most once per idempotency key, and apply its changes."""
    request = command.request
    key = None if request.key is None else request.stored_key(request.key)
    used = None if key is None else snapshot.get(IdempotencyKey, command.operation, key)
    try:
        if used is not None:
            used.check_repeated(request.fingerprint, request.key)
            return Done(used.resource_id, replayed=True)
        decision = command.decide(snapshot)
    except Refusal as refusal:
        return Refused(refusal)
    if isinstance(decision, Stale):
        return decision
    snapshot.apply(decision.changes)
    if key is not None:
        snapshot.insert(_remember(command, key, decision.done))
    return decision.done


def _remember(command: Command, stored_key: str, done: Done) -> IdempotencyKey:
    request = command.request
    return IdempotencyKey(
        request.account_id,
        command.operation,
        stored_key,
        request.fingerprint,
        done.resource_id,
        request.now,
    )
