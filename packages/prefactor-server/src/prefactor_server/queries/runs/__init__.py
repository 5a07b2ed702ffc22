"""The reads of whole runs."""
