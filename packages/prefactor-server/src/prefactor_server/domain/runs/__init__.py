"""Runs, their spans, and data derived from them: quality, cost, alerts."""
