"""Declared span types, and functions that record their calls."""
