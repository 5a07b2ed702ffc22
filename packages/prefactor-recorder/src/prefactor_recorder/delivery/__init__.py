"""Delivery: takes records from the journal to the server, in a thread of its own.

worker     the thread, and the doors to it: wake, flush, close
engine     its loop: journal → planner → sender → journal
planner    which items leave next, and what becomes of them (pure), over `lanes` and `items`
verdicts   what an answer means (pure)
pace       when the next request may leave, and how large it may be (pure)
sender     the HTTP client
"""

from prefactor_recorder.delivery.settings import DeliverySettings, Listener
from prefactor_recorder.delivery.stats import DeliveryStats
from prefactor_recorder.delivery.thread import Delivery

__all__ = ["Delivery", "DeliverySettings", "DeliveryStats", "Listener"]
