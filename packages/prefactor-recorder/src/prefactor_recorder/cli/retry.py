"""Requeueing dead letters, to be delivered as if they had just been recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from prefactor_recorder.delivery.repair import lost_records
from prefactor_recorder.encoding.record import START_LENGTH, Operation, Record, encode
from prefactor_recorder.journal.spool.dead_letters import take_dead_letters
from prefactor_recorder.journal.spool.process_lock import lock_new_process
from prefactor_recorder.journal.spool.segment import SEGMENT, create_segment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from prefactor_recorder.journal.spool.dead_letters import DeadLetter

_RUN_STARTS = frozenset({Operation.REGISTER, Operation.START})


class RetryResult(NamedTuple):
    """The result of requeueing the letters of one file."""

    queued: list[DeadLetter]
    """The letters that were queued again."""
    left: int
    """The number of letters left in the file."""


def retry(
    path: Path, ids: Collection[str] | None, changes: Mapping[str, str] | None = None
) -> RetryResult:
    """Requeue letters in a new segment, which the next delivery adopts.

    Their process may be alive and may add letters meanwhile.

    Args:
        path: The file of dead letters.
        ids: Ids of letters and of runs; None for all.
        changes: Members to replace in the registrations among them.

    Raises:
        OSError: They cannot be requeued; nothing is lost.
    """
    found: list[DeadLetter] = []
    left = 0

    def queue_again(letters: list[DeadLetter]) -> set[str]:
        nonlocal left
        usable = [letter for letter in letters if letter.record is not None]
        found.extend(usable if ids is None else with_dependencies(usable, ids))
        left = len(letters) - len(found)
        if found:
            _write(path.parent, in_order(found, register_lost=bool(changes)), changes or {})
        return {letter.id for letter in found}

    take_dead_letters(path, queue_again)
    return RetryResult(found, left)


def with_dependencies(letters: Iterable[DeadLetter], ids: Collection[str]) -> list[DeadLetter]:
    """Return the letters whose id or run id is in `ids`, and the letters they depend on.

    A record depends on the registration and start of its run, and a span's finish on its create.
    """
    ids = frozenset(ids)
    records = [(letter, letter.record) for letter in letters]
    # Not by the letter's id: the same record may be in the file again, with another time.
    chosen = {
        record
        for letter, record in records
        if record is not None and (letter.id in ids or record.run_id in ids)
    }
    spans = {(record.run_id, record.id) for record in chosen}
    runs = {record.run_id for record in chosen}
    return [
        letter
        for letter, record in records
        if record is not None
        and (
            record in chosen
            or (record.operation in _RUN_STARTS and record.run_id in runs)
            or (record.operation is Operation.CREATE_SPAN and (record.run_id, record.id) in spans)
        )
    ]


def in_order(letters: Iterable[DeadLetter], *, register_lost: bool = False) -> list[Record]:
    """Return the records of letters in order: registrations and starts first, run finishes last.

    Args:
        letters: The letters.
        register_lost: Whether to rebuild missing registrations, which were damaged. The caller
            supplies the agent.
    """
    records = [record for letter in letters if (record := letter.record)]
    if register_lost:
        by_run: dict[str, list[Record]] = {}
        for record in records:
            by_run.setdefault(record.run_id, []).append(record)
        for run, found in by_run.items():
            if all(record.operation is not Operation.REGISTER for record in found):
                bare = Record(Operation.REGISTER, run, run, b'"id":"%b"' % run.encode())
                records += lost_records(found) or [bare]
    return sorted(records, key=lambda record: _RANKS.get(record.operation, 2))


_RANKS = {Operation.REGISTER: 0, Operation.START: 1, Operation.FINISH: 3}


def _write(directory: Path, records: list[Record], changes: Mapping[str, str]) -> None:
    process_lock = lock_new_process(directory)
    try:
        segment = create_segment(directory / f"{process_lock.process}-1{SEGMENT}")
        try:
            for record in records:
                run, identifier = record.run_id.encode(), record.id.encode()
                segment.add(encode(record.operation, run, identifier, _changed(record, changes)))
            segment.sync()
        except BaseException:
            segment.discard()
            raise
    except BaseException:
        process_lock.remove()
        raise
    segment.close()
    # Released, so that the next delivery in any process can adopt the segment.
    process_lock.release()


def _changed(record: Record, changes: Mapping[str, str]) -> bytes:
    """Return the body of a record with the run's members replaced."""
    if record.operation not in _RUN_STARTS or not changes:
        return record.body
    # A start repeats the registration after its timestamp, in case the registration is lost.
    length = START_LENGTH if record.operation is Operation.START else 0
    timestamp, encoded = record.body[:length], record.body[length:].lstrip(b",")
    try:
        members: dict[str, Any] = orjson.loads(b"{%b}" % encoded)
    except orjson.JSONDecodeError:
        return record.body
    encoded = orjson.dumps({**members, **changes})[1:-1]
    return b"%b,%b" % (timestamp, encoded) if timestamp else encoded
