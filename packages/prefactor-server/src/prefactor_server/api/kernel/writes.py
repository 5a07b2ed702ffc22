"""Executes writes: prepares them, submits them together and answers each.

A single request is a list of one. In a bulk request, a list holds the writes between two reads.
They share one submission, unless they hold too much memory, and each is prepared knowing those
before it (see ``PendingWrites``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec

from prefactor_server.api.kernel.decode import (
    MAX_UNPAUSED_BYTES,
    NO_DETAILS,
    Envelope,
    read_body,
    read_envelope,
    read_large_body,
    read_object,
)
from prefactor_server.api.kernel.errors import nest_errors
from prefactor_server.api.kernel.fields import IdempotentFields, NoFields
from prefactor_server.api.kernel.operation import Call, Prepared, Write
from prefactor_server.api.kernel.query import check_account
from prefactor_server.api.kernel.span_preparation import PendingWrites
from prefactor_server.api.kernel.unknown_members import merged, unknown_members
from prefactor_server.commands.base import Done, Refused, Stale
from prefactor_server.domain.errors import (
    REQUIRED,
    BadRequest,
    Contended,
    FieldErrors,
    Refusal,
    ValidationFailed,
    invalid,
)
from prefactor_server.domain.ids import KEY_RULE, is_key

_MAX_ATTEMPTS: Final = 5
"""How many times a write is prepared before it is refused as contended."""

_MIN_WINDOW: Final = 16
"""The minimum number of writes that are prepared together after a stale one."""

_PREFETCH_SIZE: Final = 50
"""How many writes share one prefetch."""

MAX_HELD_BYTES: Final = 8 * 1024 * 1024
"""What the commands of one submission hold beyond their request, after which it is submitted."""

_fingerprint_encoder: Final = msgspec.json.Encoder(order="deterministic", enc_hook=int)


class Reply(msgspec.Struct, frozen=True):
    """The answer to an executed request. ``replayed`` means that it was executed before."""

    body: Any
    replayed: bool = False


class WriteJob(msgspec.Struct):
    """One requested write: its operation, its call and its undecoded body.

    A bulk item has a decoded ``envelope``, and its key is in its call. Its fields may be nested
    under ``details`` or not, regardless of ``Write.wrapped``.
    """

    operation: Write
    call: Call
    document: bytes
    header_key: str | None = None
    envelope: Envelope | None = None
    nested: bool = False
    """Whether the fields are under ``details``, once the request was read."""

    async def prepare(self) -> Prepared:
        """Decode the request and build its command.

        Raises:
            Refusal: the request is invalid.
        """
        call, fields = self.call, self._fields()
        unknown: FieldErrors = {}
        if self.operation.is_control_plane:
            unknown = self._unknown_members(fields)
        try:
            if len(fields) > MAX_UNPAUSED_BYTES:
                body: Any = await read_large_body(fields, self.operation.body, call.work)
                await call.work.pause()
            else:
                body = read_body(fields, self.operation.body)
        except ValidationFailed as refusal:
            raise ValidationFailed(merged(refusal.errors, unknown)) from None
        if unknown:
            raise ValidationFailed(unknown)
        if isinstance(body, IdempotentFields):
            # The key is not part of the request's fingerprint. The outer key takes precedence.
            inner, body.idempotency_key = body.idempotency_key, None
            if call.key is None:
                call.key = _key(None, inner)
        call.fingerprint = b"" if call.key is None else self._fingerprint(body)
        prepared: Prepared = await self.operation.prepare(call, body)
        return prepared

    def refusal(self, refusal: Refusal) -> Refusal:
        """Return a refusal with its fields nested like the request."""
        return nest_errors("details", refusal) if self.nested else refusal

    def _fields(self) -> bytes:
        """Return the fields, after setting the key of a single request."""
        envelope, is_item = self.envelope, self.envelope is not None
        if envelope is None:
            envelope = read_envelope(self.document)
            self.call.key = _key(self.header_key, envelope.idempotency_key)
        if not (is_item or self.operation.wrapped):
            return self.document
        if envelope.details is NO_DETAILS and is_item:
            return self.document
        fields = bytes(envelope.details).lstrip()
        if fields == b"null":
            if is_item:
                return self.document
            raise ValidationFailed({"details": REQUIRED})
        if not fields.startswith(b"{"):
            raise invalid("details", "must be an object")
        self.nested = True
        return fields

    def _unknown_members(self, fields: bytes) -> FieldErrors:
        """Return the errors of unknown fields.

        Raises:
            ValidationFailed: a member next to ``details`` is unknown.
        """
        operation = self.operation
        accepted = {"idempotency_key", *operation.legacy_fields}
        if self.envelope is not None:
            accepted |= {"_type", "details", "id", operation.path_parameter or "id"}
        if self.nested:
            accepted.add("details")
            outer_errors = unknown_members(NoFields, None, read_object(self.document), accepted)
            if outer_errors:
                self.nested = False
                raise ValidationFailed(outer_errors)
            accepted = set(operation.legacy_fields)
        members = read_object(fields)
        account_id = members.get("account_id")
        if isinstance(account_id, str) and operation.path_parameter != "account_id":
            check_account(account_id, self.call.principal)
        return unknown_members(operation.body, operation.shown, members, accepted)

    def _fingerprint(self, body: Any) -> bytes:
        # A repeat of a request that an older server executed must have the same fingerprint. So a
        # field that was added to an operation has the default UNSET, which is not encoded.
        # A deployment token determines the request's agent, so it is part of the fingerprint.
        caller = self.call.principal.agent_deployment_id or ""
        prefix = f"{self.operation.name}\0{self.call.path_id}\0{caller}\0".encode()
        return hashlib.blake2b(prefix + _fingerprint_encoder.encode(body), digest_size=16).digest()


class LateReply(msgspec.Struct, frozen=True):
    """The answer to an executed write, of a resource that is read when the answer is sent.

    The answers of a bulk request may have many times its size, so they are not all in memory at
    once.
    """

    job: WriteJob
    done: Done

    async def read(self) -> Reply | Refusal:
        """Return the current state of what the command created or changed."""
        job, done = self.job, self.done
        try:
            shown = await job.operation.show(job.call, done.resource_id)
        except Refusal as refusal:
            return refusal
        return Reply(shown, replayed=done.replayed)


Answer: TypeAlias = Reply | LateReply | Refusal


async def execute_one(job: WriteJob, size: int) -> Reply:
    """Execute a write.

    Raises:
        Refusal: it was refused.
    """
    (answer,) = await execute([job], size)
    if isinstance(answer, LateReply):
        answer = await answer.read()
    if isinstance(answer, Refusal):
        raise answer
    return answer


async def execute(jobs: Sequence[WriteJob], size: int) -> list[Answer]:
    """Execute writes in order, each once, up to the first refusal.

    Args:
        jobs: at least one write, all of one caller.
        size: the size of their request, in bytes.

    Returns:
        Their answers, up to and including the first refusal.
    """
    answers: list[Answer] = []
    attempts, window = 0, len(jobs)
    while len(answers) < len(jobs):
        before = len(answers)
        answers += await _attempt(jobs[before : before + window], size, reread=attempts > 0)
        if isinstance(answers[-1] if answers else None, Refusal):
            break
        done = len(answers) - before
        # Otherwise, preparing all remaining writes after each stale one takes quadratic time.
        window = max(2 * done, _MIN_WINDOW)
        attempts = 0 if done else attempts + 1
        if attempts == _MAX_ATTEMPTS:
            answers.append(
                Contended("Concurrent requests keep changing the same rows: send the request again")
            )
            break
    return answers


async def _attempt(jobs: Sequence[WriteJob], size: int, *, reread: bool) -> list[Answer]:
    """Execute writes up to the first that is refused or stale."""
    prepared, refusal = await _prepare(jobs, PendingWrites(reread=reread))
    answers: list[Answer] = []
    if prepared:
        writer = jobs[0].call.services.writer
        try:
            outcomes = await writer.submit([one.command for one in prepared], size)
        except Refusal as not_written:
            return [not_written]
        for job, one, outcome in zip(jobs, prepared, outcomes, strict=False):
            if isinstance(outcome, Stale):
                return answers
            # Until the first answer, the request has only waited for its commit.
            if answers and job.call.work.is_due():
                await job.call.work.pause()
            if isinstance(outcome, Refused):
                answers.append(job.refusal(outcome.refusal))
                return answers
            if outcome.replayed or one.reply is None:
                answers.append(LateReply(job, outcome))
            else:
                answers.append(Reply(one.reply(outcome)))
    if refusal is not None:
        answers.append(refusal)
    return answers


async def _prepare(
    jobs: Sequence[WriteJob], pending: PendingWrites
) -> tuple[list[Prepared], Refusal | None]:
    """Prepare writes up to the first refusal, and return both.

    They end earlier once they hold ``MAX_HELD_BYTES``. The others follow when these are committed.
    """
    prepared: list[Prepared] = []
    held_bytes = 0
    for number, job in enumerate(jobs):
        if job.call.work.is_due():
            await job.call.work.pause()
        if number % _PREFETCH_SIZE == 0:
            await _prefetch(jobs[number : number + _PREFETCH_SIZE], pending)
        job.call.pending = pending
        try:
            one = await job.prepare()
        except Refusal as refusal:
            return prepared, job.refusal(refusal)
        prepared.append(one)
        held_bytes += one.held_bytes
        if held_bytes > MAX_HELD_BYTES:
            break
    return prepared, None


async def _prefetch(jobs: Sequence[WriteJob], pending: PendingWrites) -> None:
    """Run the prefetch of each operation for its writes."""
    by_operation: dict[str, list[WriteJob]] = {}
    for job in jobs:
        if job.operation.prefetch is not None:
            job.call.pending = pending
            by_operation.setdefault(job.operation.name, []).append(job)
    for same_operation in by_operation.values():
        read = same_operation[0].operation.prefetch
        if read is not None and len(same_operation) > 1:
            await read([job.call for job in same_operation])


def _key(header: str | None, field: object) -> str | None:
    """Return the idempotency key of a request, from its header or its body."""
    if field is not None and not isinstance(field, str):
        raise invalid("idempotency_key", KEY_RULE)
    if header is not None and field is not None and header != field:
        raise keys_differ()
    key = header if field is None else field
    if key is not None and not is_key(key):
        raise invalid("idempotency_key", KEY_RULE)
    return key


def keys_differ() -> BadRequest:
    """Return the refusal of a request with two different idempotency keys."""
    return BadRequest("The idempotency keys in the header, the query and the body differ")
