"""The numbered steps of the PostgreSQL schema.

A step that rebuilds ``agent_span``, or adds a column to it, drops the view ``visible_span`` first
and creates it again.
"""
