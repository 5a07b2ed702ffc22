"""Commands, their outcomes, and how a batch of them is decided.

A command is an immutable value: everything that it needs besides stored rows (the time, fresh ids,
the checked and compressed payload) was put into it before. ``needs`` names the rows to load and
``decide`` says what changes. A command that is refused changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from prefactor_server.commands.run_quality import store_quality
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.errors import IdempotencyKeyUsed, Refusal
from prefactor_server.domain.idempotency import IdempotencyKey
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.quality import InstanceQuality, RunQuality
from prefactor_server.storage.base import Changes, Needs, Row, Snapshot


class Control(NamedTuple):
    """The signal to an agent whose run was terminated; ``reason`` is the operator's."""

    reason: str | None


class Done(NamedTuple):
    """A command took effect: the row that it is about, as it is now.

    ``row`` is None when the request was a repeat (``replayed``): then nothing was done, and
    ``resource_id`` names what the first one made or changed. ``quality`` and ``metadata`` go with a
    run.
    """

    resource_id: str
    row: Row | None = None
    control: Control | None = None
    replayed: bool = False
    quality: RunQuality | InstanceQuality | None = None
    metadata: InstanceMetadata | None = None


class Refused(NamedTuple):
    """A command was refused, and changed nothing."""

    refusal: Refusal


class Stale(NamedTuple):
    """A command was prepared from rows that have changed or come since: prepare it again."""


Outcome: TypeAlias = Done | Refused | Stale


class Decision(NamedTuple):
    """What a command changes, and what its caller hears."""

    changes: Changes
    done: Done


class Request(NamedTuple):
    """What every command knows of the request that it came with.

    ``fingerprint`` covers the whole request but its key. ``actor`` is the id of the caller's token,
    ``deployment_id`` that of the deployment which a deployment token speaks for.
    """

    account_id: str
    actor: str
    now: int
    key: str | None
    fingerprint: bytes
    deployment_id: str | None = None

    def stored_key(self, key: str) -> str:
        """Return the key as it is stored: each deployment has its own, beside the account's.

        Shared keys would tell one deployment which keys another has used. No key holds a line
        break, so the two parts cannot be read in another way.
        """
        return key if self.deployment_id is None else f"{self.deployment_id}\n{key}"


def audit_entry(
    request: Request, action: str, resource_id: str, detail: str | None = None
) -> AuditEntry:
    """That the caller of a request did something that an operator may want to look up."""
    return AuditEntry(request.account_id, request.now, request.actor, action, resource_id, detail)


class Command(Protocol):
    """One write. ``operation`` is its name, and the scope of its idempotency key."""

    @property
    def operation(self) -> str:
        """The name of the operation."""
        ...

    @property
    def request(self) -> Request:
        """The request that it came with."""
        ...

    def needs(self, needs: Needs) -> None:
        """Add the rows that ``decide`` looks at."""
        ...

    def decide(self, snapshot: Snapshot) -> Decision | Stale:
        """What changes.

        Raises:
            Refusal: the command cannot be carried out.
        """
        ...


class Submission(NamedTuple):
    """The commands of one request, to be decided in order up to the first that fails."""

    commands: Sequence[Command]
    size: int


def collect_needs(submissions: Sequence[Submission]) -> dict[str, Needs]:
    """The rows that a batch names, by account."""
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
    """Decide a batch in order; each submission's outcomes end with its first that is not done."""
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
    """Decide one command, once for its idempotency key, and apply what it changes."""
    request = command.request
    if request.key is not None:
        used = snapshot.get(IdempotencyKey, command.operation, request.stored_key(request.key))
        if used is not None:
            return _repeat(used, request)
    try:
        decision = command.decide(snapshot)
    except Refusal as refusal:
        return Refused(refusal)
    if isinstance(decision, Stale):
        return decision
    snapshot.apply(decision.changes)
    if request.key is not None:
        snapshot.insert(_remember(command, request.stored_key(request.key), decision.done))
    return decision.done


def _repeat(used: IdempotencyKey, request: Request) -> Outcome:
    if used.fingerprint == request.fingerprint:
        return Done(used.resource_id, replayed=True)
    return Refused(
        IdempotencyKeyUsed(
            f"Idempotency key {request.key!r} was used for another {used.operation} request: "
            "use a new key for a new request"
        )
    )


def _remember(command: Command, stored_key: str, done: Done) -> IdempotencyKey:
    request = command.request
    return IdempotencyKey(
        account_id=request.account_id,
        operation=command.operation,
        key=stored_key,
        fingerprint=request.fingerprint,
        resource_id=done.resource_id,
        inserted_at=request.now,
    )
