"""Connections, sessions, time limits and encodings of the client."""
