"""The journal on disk: what was recorded outlives the process that recorded it."""

from .directory import UnsafeDirectory, default_directory
from .journal import SpoolJournal

__all__ = ["SpoolJournal", "UnsafeDirectory", "default_directory"]
