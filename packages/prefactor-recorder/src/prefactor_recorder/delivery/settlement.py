"""What became of entries that were sent, or that need not be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from prefactor_recorder.encoding.record import Record
    from prefactor_recorder.journal.base import Entry


class Settlement(NamedTuple):
    """What is to be told to the journal, and which runs are to be asked for."""

    delivered: list[Entry]
    buried: list[tuple[Entry, dict[str, Any]]]
    asks: list[tuple[str, dict[str, Any]]]
    """Ids of runs, with why their register was refused."""
    repaired: list[tuple[Record, Record]]
    """Registrations that were refused, with what is sent instead."""
    lost: list[str]
    """Ids of runs whose registration the disk has damaged, and which are registered again."""

    @classmethod
    def new(cls) -> Settlement:
        """One that says nothing yet."""
        return cls([], [], [], [], [])
