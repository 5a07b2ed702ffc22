"""Locks that a fork or an exit of the host takes, so that it does not interrupt the recorder."""
