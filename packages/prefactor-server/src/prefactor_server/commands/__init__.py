"""The writes: one command each, which decides on a snapshot without side effects."""
