"""The reads of runs that take them whole."""
