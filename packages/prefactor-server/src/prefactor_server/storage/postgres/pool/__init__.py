"""Additions to connection pools: renewal of query plans, and reads from a standby."""
