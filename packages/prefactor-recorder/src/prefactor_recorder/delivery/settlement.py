"""What the planner decided about entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from prefactor_recorder.encoding.record import Record
    from prefactor_recorder.journal.base import Entry


class Settlement(NamedTuple):
    """What to tell the journal, and which runs to look up."""

    delivered: list[Entry]
    dead_lettered: list[tuple[Entry, dict[str, Any]]]
    run_lookups: list[tuple[str, dict[str, Any]]]
    """Ids of runs to look up, with the error of their registration."""
    repaired: list[tuple[Record, Record]]
    """Rejected registrations, each with its replacement."""
    lost: list[str]
    """Ids of runs whose damaged registration was rebuilt."""

    @classmethod
    def new(cls) -> Settlement:
        """Create an empty settlement."""
        return cls([], [], [], [], [])
