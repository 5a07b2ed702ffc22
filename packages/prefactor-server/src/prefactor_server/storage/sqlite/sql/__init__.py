"""Statements in SQL files, each with a name and a description; see `storage.sql`."""
