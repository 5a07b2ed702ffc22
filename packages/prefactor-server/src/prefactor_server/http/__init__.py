"""HTTP connections: their bounds, their log, probes and metrics."""
