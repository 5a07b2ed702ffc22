"""The journal on disk: what was recorded outlives the process that recorded it."""

from prefactor_recorder.spool.directory import UnsafeDirectory, default_directory
from prefactor_recorder.spool.journal import SpoolJournal

__all__ = ["SpoolJournal", "UnsafeDirectory", "default_directory"]
