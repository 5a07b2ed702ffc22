"""Live events: one hub per process, and the streams that it feeds."""
