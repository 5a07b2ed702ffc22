"""Requests for reviews of alerts, in the same commit as the change that requires them."""

from __future__ import annotations

from msgspec.structs import replace

from prefactor_server.domain.runs.alert_review import AlertReview, Subject, new_review, review_id
from prefactor_server.storage.base import Changes, Needs, Snapshot


def need_review(needs: Needs, kind: Subject, subject_id: str) -> None:
    """Add the pending review, if any."""
    needs.rows.add((AlertReview, review_id(kind, subject_id)))


def request_review(
    changes: Changes,
    snapshot: Snapshot,
    account_id: str,
    *,
    kind: Subject,
    subject_id: str,
    now: int,
) -> Changes:
    """Return the changes with a review added. A pending one starts again."""
    review = new_review(account_id, kind, subject_id, now)
    if snapshot.get(AlertReview, review.id) is None:
        return replace(changes, inserted=(*changes.inserted, review))
    return replace(changes, updated=(*changes.updated, review))
