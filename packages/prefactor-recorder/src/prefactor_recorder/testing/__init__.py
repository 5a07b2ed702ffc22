"""For the tests of code that records: a recorder that keeps everything in memory.

No server, no disk, no thread; clock and ids are the same in every run of the tests.
"""

from prefactor_recorder.testing.clock import FixedClock
from prefactor_recorder.testing.recorder import InMemoryRecorder
from prefactor_recorder.testing.records import RecordedRun, RecordedSpan

__all__ = ["FixedClock", "InMemoryRecorder", "RecordedRun", "RecordedSpan"]
