"""The numbered steps of the SQLite schema."""
