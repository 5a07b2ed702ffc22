"""Reviews: an update of alerts after a change of a risk profile or of an agent's settings.

A change may affect a million runs, so its request only stores a row. The follower processes the
runs and deletes the row when it is done.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias, cast

Subject: TypeAlias = Literal["agent", "risk_profile"]

_SEPARATOR: Final = ":"


class AlertReview(NamedTuple):
    """A pending review. ``after`` is the id of the last agent or run that was processed."""

    id: str
    account_id: str
    after: str
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)

    @property
    def subject(self) -> tuple[Subject, str]:
        """The kind and the id of the changed object."""
        kind, _, subject_id = self.id.partition(_SEPARATOR)
        return cast("Subject", kind), subject_id


def review_id(kind: Subject, subject_id: str) -> str:
    """Return the id of the review of an agent or a profile."""
    return f"{kind}{_SEPARATOR}{subject_id}"


def new_review(account_id: str, kind: Subject, subject_id: str, now: int) -> AlertReview:
    """Return a review that has not begun."""
    return AlertReview(review_id(kind, subject_id), account_id, "", now)
