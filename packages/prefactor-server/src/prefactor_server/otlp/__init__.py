"""Reads what OpenTelemetry sends, and says what its spans are here. Pure functions."""
