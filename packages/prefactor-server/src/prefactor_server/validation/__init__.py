"""Evaluate untrusted JSON Schemas and Liquid templates.

Both are programs. Their cost is bounded before they run, their content never raises an error,
and they reach neither the network nor a file.
"""
