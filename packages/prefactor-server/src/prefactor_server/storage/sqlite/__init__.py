"""The embedded backend: one SQLite file, one writer thread, a few readers."""
