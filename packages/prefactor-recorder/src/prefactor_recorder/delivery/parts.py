"""What delivery is made of, handed from the thread to its loop and on to its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefactor_recorder.delivery.log import Notices
    from prefactor_recorder.delivery.planner import Planner
    from prefactor_recorder.delivery.settings import DeliverySettings, Listener
    from prefactor_recorder.delivery.stats import DeliveryStats
    from prefactor_recorder.journal.base import Journal


class Parts(NamedTuple):
    """The parts that outlive one life of the loop, and the plan of this life."""

    journal: Journal
    settings: DeliverySettings
    listener: Listener
    planner: Planner
    stats: DeliveryStats
    notices: Notices
    random: Callable[[], float]
    """Draws from [0, 1)."""
    is_abandoned: Callable[[], bool]
    """Whether the journal must be left alone, because nobody waits for this loop any more."""
