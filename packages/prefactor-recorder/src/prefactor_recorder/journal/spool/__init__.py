"""The journal on disk: what was recorded outlives the process that recorded it."""

from prefactor_recorder.journal.spool.journal import SpoolJournal
from prefactor_recorder.journal.spool.paths import UnsafeDirectory, default_directory

__all__ = ["SpoolJournal", "UnsafeDirectory", "default_directory"]
