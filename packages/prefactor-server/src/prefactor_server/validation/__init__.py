"""Evaluates untrusted JSON Schemas and Liquid templates.

Both are programs. Their cost is bounded, their content never raises an error, and they cannot reach
the network or a file.
"""
