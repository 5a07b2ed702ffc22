"""Maintenance of a PostgreSQL database: backup, cleanup, pruning and verification."""
