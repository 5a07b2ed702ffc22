"""Delivery: sends the journal's records to the server from a background thread.

thread      the thread and its entry points: wake, flush, close
loop        the event loop: journal → planner → client → journal
planner     which items to send next and what to do with them afterwards (pure)
run_queue   items, the queue of each run, and batches
outcomes    what a response means (pure)
responses   acts on each response
throttle    when the next request may be sent (pure)
client      the HTTP client
"""

from prefactor_recorder.delivery.settings import DeliverySettings, Listener
from prefactor_recorder.delivery.stats import DeliveryStats
from prefactor_recorder.delivery.thread import Delivery

__all__ = ["Delivery", "DeliverySettings", "DeliveryStats", "Listener"]
