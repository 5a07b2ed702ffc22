"""A legal hold: a run is not deleted, regardless of its age, until the hold is removed."""

from __future__ import annotations

from typing import Final, NamedTuple

from prefactor_server.domain.errors import invalid

MAX_REASON_LENGTH: Final = 2000


class LegalHold(NamedTuple):
    """The reason for keeping a run, and the start of the hold."""

    account_id: str
    agent_instance_id: str
    reason: str
    inserted_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its run's id."""
        return ((self.agent_instance_id,),)


def check_reason(reason: str) -> None:
    """Reject a reason that is blank or too long, or contains NUL.

    Raises:
        ValidationFailed: see above.
    """
    if not reason.strip() or len(reason) > MAX_REASON_LENGTH or "\0" in reason:
        raise invalid(
            "reason",
            f"must be 1 to {MAX_REASON_LENGTH} characters, not all of them blank, none of them NUL",
        )
