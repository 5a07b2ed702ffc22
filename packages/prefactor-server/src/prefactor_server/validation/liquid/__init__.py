"""Renders untrusted Liquid templates."""
