"""The endpoints of OTLP/HTTP: traces, logs and metrics."""
