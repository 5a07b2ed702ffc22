"""Retries: what is retried, after which delay, and within which quota."""
