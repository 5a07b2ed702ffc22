"""The objects that the delivery thread, its loop and its requests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefactor_recorder.delivery.log import DeliveryLog
    from prefactor_recorder.delivery.planner import Planner
    from prefactor_recorder.delivery.settings import DeliverySettings, Listener
    from prefactor_recorder.delivery.stats import DeliveryStats
    from prefactor_recorder.journal.base import Journal


class DeliveryContext(NamedTuple):
    """Everything that outlives one run of the loop, and the planner of this run."""

    journal: Journal
    settings: DeliverySettings
    listener: Listener
    planner: Planner
    stats: DeliveryStats
    log: DeliveryLog
    random: Callable[[], float]
    """Returns a random float from [0, 1)."""
    is_abandoned: Callable[[], bool]
    """Whether `close` gave up on this loop, which must then leave the journal alone."""
