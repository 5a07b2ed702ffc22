"""Divides a batch into units by run.

Two units have no run and no idempotency key in common. Each could be loaded, decided, written and
committed on its own, in the one place where its run is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

from prefactor_server.commands.base import Submission, collect_needs
from prefactor_server.domain.pfid import PARTITION, is_pfid
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.quality import InstanceQuality
from prefactor_server.storage.base import Needs

Name: TypeAlias = tuple[str, ...]

_OF_RUNS: Final[frozenset[type[Any]]] = frozenset({InstanceMetadata, InstanceQuality})
"""The kinds of other rows that have the id of their run."""
_NO_RUN: Final = ""


def divide_by_run(submissions: Sequence[Submission]) -> Sequence[Sequence[int]]:
    """Return the positions of the submissions of each unit, both in the order of arrival.

    A submission about several runs makes one unit of them, because its commands are decided in
    order up to the first failure. Submissions about no run are one unit for each account.
    """
    parents = list(range(len(submissions)))

    def first(position: int) -> int:
        while parents[position] != position:
            parents[position] = position = parents[parents[position]]
        return position

    known: dict[Name, int] = {}
    for position, submission in enumerate(submissions):
        for name in _names(submission):
            one, other = first(known.setdefault(name, position)), first(position)
            parents[max(one, other)] = min(one, other)
    found: dict[int, list[int]] = {}
    for position in range(len(submissions)):
        found.setdefault(first(position), []).append(position)
    return list(found.values())


def place(row_id: str) -> str:
    """Return what the id of a run has in common with the ids below the run.

    That is its partition. An id that is not a PFID stands for itself.
    """
    return row_id[PARTITION] if is_pfid(row_id) else row_id


def places(needs: Needs) -> set[str]:
    """Return the places of the runs that are needed, or that of all else if there are none."""
    named = {*needs.instances, *needs.spans, *needs.holds}
    named |= {run_id for run_id, _ in needs.alerts}
    named |= {row_id for kind, row_id in needs.rows if kind in _OF_RUNS}
    return {place(row_id) for row_id in named} or {_NO_RUN}


def _names(submission: Submission) -> Iterator[Name]:
    for account_id, needs in collect_needs([submission]).items():
        for one in places(needs):
            yield account_id, one
        for key in needs.keys:
            yield account_id, *key
