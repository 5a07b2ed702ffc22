"""Locks that keep the recorder out of trouble when its host forks or exits."""
