"""The quality of runs during a batch: decoded at most once, and encoded at the end."""

from __future__ import annotations

from prefactor_server.domain.runs.quality import InstanceQuality, RunQuality
from prefactor_server.storage.base import Changes, Snapshot


def run_quality(snapshot: Snapshot, run_id: str) -> RunQuality | None:
    """Return the quality of a run as the batch has changed it so far, or None."""
    known = snapshot.get(RunQuality, run_id)
    if known is not None:
        return known
    row = snapshot.get(InstanceQuality, run_id)
    return None if row is None else RunQuality.of(row)


def shown_quality(snapshot: Snapshot, run_id: str) -> RunQuality | InstanceQuality | None:
    """Return the quality of a run for a response, still encoded if the batch left it unchanged."""
    return snapshot.get(RunQuality, run_id) or snapshot.get(InstanceQuality, run_id)


def store_quality(snapshot: Snapshot) -> None:
    """Encode the quality that a batch has changed into rows to write."""
    for quality in snapshot.changed(RunQuality):
        row = quality.row()
        is_new = snapshot.get(InstanceQuality, quality.id) is None
        snapshot.apply(Changes(inserted=(row,)) if is_new else Changes(updated=(row,)))
