"""Decodes OTLP and maps its spans to ours."""
