"""The numbered steps of the SQLite schema.

A step that rebuilds ``agent_span`` drops the view ``visible_span`` first and creates it again.
"""
