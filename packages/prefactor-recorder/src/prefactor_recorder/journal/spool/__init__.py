"""The journal on disk, which outlives the process that records."""

from prefactor_recorder.journal.spool.journal import SpoolJournal
from prefactor_recorder.journal.spool.paths import UnsafeDirectory, default_directory

__all__ = ["SpoolJournal", "UnsafeDirectory", "default_directory"]
