"""Reviews: that a risk profile, or that of an agent, has changed, and alerts have to follow.

A change may concern a million runs, so the request that makes it only leaves a row. The follower
goes through the runs and deletes the row when it is done.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias, cast

Subject: TypeAlias = Literal["agent", "risk_profile"]

_SEPARATOR: Final = ":"


class AlertReview(NamedTuple):
    """A review that is to be done; ``after`` is the id of the agent or run that it has reached."""

    id: str
    account_id: str
    after: str
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return keys by its id."""
        return ((self.id,),)

    @property
    def subject(self) -> tuple[Subject, str]:
        """What changed, and its id."""
        kind, _, subject_id = self.id.partition(_SEPARATOR)
        return cast("Subject", kind), subject_id


def review_id(kind: Subject, subject_id: str) -> str:
    """Return the id of the review of an agent or a profile."""
    return f"{kind}{_SEPARATOR}{subject_id}"


def new_review(account_id: str, kind: Subject, subject_id: str, now: int) -> AlertReview:
    """Return a review from the start."""
    return AlertReview(review_id(kind, subject_id), account_id, "", now)
