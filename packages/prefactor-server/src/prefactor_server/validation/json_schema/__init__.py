"""Checks values against untrusted JSON Schemas."""
