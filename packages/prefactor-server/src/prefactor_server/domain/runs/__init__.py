"""Runs and their spans, and what is derived from them: quality, cost, alerts."""
