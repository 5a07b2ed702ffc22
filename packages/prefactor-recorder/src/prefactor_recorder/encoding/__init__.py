"""Turns values, ids and times into the JSON that is recorded."""
