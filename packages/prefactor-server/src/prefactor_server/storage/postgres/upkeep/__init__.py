"""What an operator does to a database on a server: back up, clean, prune and verify it."""
