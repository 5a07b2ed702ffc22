"""Decodes OTLP and maps its spans to ours, with pure functions."""
