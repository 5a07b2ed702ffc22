"""Storage: one protocol, and one folder per database that implements it."""
