"""For the tests of code that records: a recorder that keeps everything in memory.

No server, no disk, no thread; clock and ids are the same in every run of the tests.
"""

from .clock import FixedClock
from .recorder import InMemoryRecorder
from .records import RecordedRun, RecordedSpan

__all__ = ["FixedClock", "InMemoryRecorder", "RecordedRun", "RecordedSpan"]
