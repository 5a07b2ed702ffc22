"""An operator's maintenance of a PostgreSQL database: back up, clean, prune and verify it."""
