"""What an operator does to a database file: back up, clean, prune and verify it."""
