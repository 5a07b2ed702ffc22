"""The quality of runs while a batch is decided: decoded at most once, encoded once at the end."""

from __future__ import annotations

from prefactor_server.domain.runs.quality import InstanceQuality, RunQuality
from prefactor_server.storage.base import Changes, Snapshot


def run_quality(snapshot: Snapshot, run_id: str) -> RunQuality | None:
    """The quality of a run as the batch has left it so far; None if nobody has evaluated it."""
    known = snapshot.get(RunQuality, run_id)
    if known is not None:
        return known
    row = snapshot.get(InstanceQuality, run_id)
    return None if row is None else RunQuality.of(row)


def shown_quality(snapshot: Snapshot, run_id: str) -> RunQuality | InstanceQuality | None:
    """The same for an answer, which is decoded when the answer is written."""
    return snapshot.get(RunQuality, run_id) or snapshot.get(InstanceQuality, run_id)


def store_quality(snapshot: Snapshot) -> None:
    """Turn the quality that a batch has changed into the rows to write."""
    for quality in snapshot.changed(RunQuality):
        row = quality.row()
        is_new = snapshot.get(InstanceQuality, quality.id) is None
        snapshot.apply(Changes(inserted=(row,)) if is_new else Changes(updated=(row,)))
