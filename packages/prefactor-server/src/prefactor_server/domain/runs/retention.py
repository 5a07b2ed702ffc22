"""Retention: which runs are old enough to delete, and how much deleting them frees."""

from __future__ import annotations

from typing import NamedTuple


class Retention(NamedTuple):
    """Ended runs of an account from before some time; all, or those of one agent or environment.

    A run that has not ended never counts as old, and a run on legal hold is never deleted.
    """

    account_id: str
    ended_before: int
    agent_id: str | None = None
    environment_id: str | None = None


class Pruned(NamedTuple):
    """What was, or would be, deleted. The bytes are those of the stored payloads."""

    runs: int = 0
    spans: int = 0
    payload_bytes: int = 0

    def plus(self, other: Pruned) -> Pruned:
        """Both together."""
        return Pruned(
            self.runs + other.runs,
            self.spans + other.spans,
            self.payload_bytes + other.payload_bytes,
        )
