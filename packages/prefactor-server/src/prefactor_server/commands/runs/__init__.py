"""Commands of runs beside their lifecycle: quality, heartbeats and abandonment."""
