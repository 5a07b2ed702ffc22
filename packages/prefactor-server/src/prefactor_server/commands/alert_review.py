"""Requests a review of alerts in the same commit as the change that requires it."""

from __future__ import annotations

from prefactor_server.domain.runs.alert_review import AlertReview, Subject, new_review, review_id
from prefactor_server.storage.base import Changes, Needs, Snapshot


def need_review(needs: Needs, kind: Subject, subject_id: str) -> None:
    """Add the review that may be in progress."""
    needs.rows.add((AlertReview, review_id(kind, subject_id)))


def ask_for_review(
    changes: Changes,
    snapshot: Snapshot,
    account_id: str,
    *,
    kind: Subject,
    subject_id: str,
    now: int,
) -> Changes:
    """Return the changes with a review added. One in progress starts again."""
    review = new_review(account_id, kind, subject_id, now)
    if snapshot.get(AlertReview, review.id) is None:
        return changes._replace(inserted=(*changes.inserted, review))
    return changes._replace(updated=(*changes.updated, review))
