"""A recorder for tests, which keeps everything in memory.

It uses no server, disk or thread, and its times and ids are the same in every test run.
"""

from prefactor_recorder.testing.clock import FixedClock
from prefactor_recorder.testing.recorder import InMemoryRecorder
from prefactor_recorder.testing.records import RecordedRun, RecordedSpan

__all__ = ["FixedClock", "InMemoryRecorder", "RecordedRun", "RecordedSpan"]
