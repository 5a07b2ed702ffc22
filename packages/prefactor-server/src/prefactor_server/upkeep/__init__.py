"""The background tasks of a server. Each runs until it is cancelled."""

from prefactor_server.upkeep.abandoned_runs import AbandonedRuns, SilenceLimits
from prefactor_server.upkeep.clock_comparison import follow_clock
from prefactor_server.upkeep.expired import prune
from prefactor_server.upkeep.partitions import make_partitions
from prefactor_server.upkeep.retention import RetentionTask
from prefactor_server.upkeep.silent_traces import end_silent_traces

__all__ = [
    "AbandonedRuns",
    "RetentionTask",
    "SilenceLimits",
    "end_silent_traces",
    "follow_clock",
    "make_partitions",
    "prune",
]
