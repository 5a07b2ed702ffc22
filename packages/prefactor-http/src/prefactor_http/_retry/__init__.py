"""What the client repeats, after what wait, and within which quota."""
