"""Commands of runs besides their lifecycle: quality, heartbeats and abandonment."""
