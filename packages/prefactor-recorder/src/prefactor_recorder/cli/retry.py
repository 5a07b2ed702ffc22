"""Putting dead letters back, to be delivered as if they had just been recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from prefactor_recorder.delivery.repair import lost_records
from prefactor_recorder.encoding.record import START_LENGTH, Operation, Record, encode
from prefactor_recorder.journal.spool.dead_letters import take_letters
from prefactor_recorder.journal.spool.process_lock import claim_new
from prefactor_recorder.journal.spool.segment import SEGMENT, create_segment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from prefactor_recorder.journal.spool.dead_letters import Letter

_BEGINS_RUN = frozenset({Operation.REGISTER, Operation.START})


class Retried(NamedTuple):
    """What became of the letters of one file."""

    put_back: list[Letter]
    """Those that wait for delivery again."""
    left: int
    """How many are still dead letters."""


def retry(
    path: Path, wanted: Collection[str] | None, changes: Mapping[str, str] | None = None
) -> Retried:
    """Put letters back into a segment of their own, which the next delivery takes over.

    The process that they belong to may be alive, and may add others meanwhile.

    Args:
        path: The file of dead letters.
        wanted: Ids of letters and of runs; None for all.
        changes: Members that the registrations among them are to have instead of their own.

    Raises:
        OSError: They cannot be put back; nothing is lost.
    """
    found: list[Letter] = []
    left = 0

    def put_back(letters: list[Letter]) -> set[str]:
        nonlocal left
        usable = [letter for letter in letters if letter.record is not None]
        found.extend(usable if wanted is None else with_dependencies(usable, wanted))
        left = len(letters) - len(found)
        if found:
            _write(path.parent, in_order(found, register_lost=bool(changes)), changes or {})
        return {letter.id for letter in found}

    take_letters(path, put_back)
    return Retried(found, left)


def with_dependencies(letters: Iterable[Letter], wanted: Collection[str]) -> list[Letter]:
    """The letters that are wanted, with those of the same run that they cannot do without.

    A record needs the registration and the start of its run, and the end of a span its beginning.
    """
    records = [(letter, letter.record) for letter in letters]
    chosen = [
        record
        for letter, record in records
        if record is not None and (letter.id in wanted or record.run_id in wanted)
    ]
    ids = {(record.run_id, record.id) for record in chosen}
    runs = {record.run_id for record in chosen}
    return [
        letter
        for letter, record in records
        if record is not None
        and (
            record in chosen
            or (record.operation in _BEGINS_RUN and record.run_id in runs)
            or (record.operation is Operation.CREATE_SPAN and (record.run_id, record.id) in ids)
        )
    ]


def in_order(letters: Iterable[Letter], *, register_lost: bool = False) -> list[Record]:
    """The records of letters as they were recorded: what begins a run first, then as they lie.

    Args:
        letters: The letters.
        register_lost: Whether runs without a registration among them get one: its record was
            damaged, and now somebody says which agent they belong to.
    """
    records = [record for letter in letters if (record := letter.record)]
    if register_lost:
        registered = {each.run_id for each in records if each.operation is Operation.REGISTER}
        for run in dict.fromkeys(each.run_id for each in records if each.run_id not in registered):
            bare = Record(Operation.REGISTER, run, run, b'"id":"%b"' % run.encode())
            records += lost_records([each for each in records if each.run_id == run]) or [bare]
    return sorted(records, key=lambda record: _RANKS.get(record.operation, 2))


_RANKS = {Operation.REGISTER: 0, Operation.START: 1, Operation.FINISH: 3}


def _write(directory: Path, records: list[Record], changes: Mapping[str, str]) -> None:
    claim = claim_new(directory)
    try:
        segment = create_segment(directory / f"{claim.process}-1{SEGMENT}")
        try:
            for record in records:
                run, identifier = record.run_id.encode(), record.id.encode()
                segment.add(encode(record.operation, run, identifier, _changed(record, changes)))
            segment.sync()
        except BaseException:
            segment.discard()
            raise
    except BaseException:
        claim.remove()
        raise
    segment.shut()
    # Free for the next delivery to take over, here or in a process that is alive.
    claim.drop()


def _changed(record: Record, changes: Mapping[str, str]) -> bytes:
    """The body of a record, with other members in what is said of its run."""
    if record.operation not in _BEGINS_RUN or not changes:
        return record.body
    # A start says it again behind its timestamp, in case that the registration is lost.
    length = START_LENGTH if record.operation is Operation.START else 0
    timestamp, said = record.body[:length], record.body[length:].lstrip(b",")
    try:
        members: dict[str, Any] = orjson.loads(b"{%b}" % said)
    except orjson.JSONDecodeError:
        return record.body
    encoded = orjson.dumps({**members, **changes})[1:-1]
    return b"%b,%b" % (timestamp, encoded) if timestamp else encoded
