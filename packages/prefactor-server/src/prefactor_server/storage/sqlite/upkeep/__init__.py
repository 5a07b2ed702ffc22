"""Maintenance of a database file: backup, cleanup, pruning and verification."""
