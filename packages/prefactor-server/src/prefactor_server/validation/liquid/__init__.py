"""Renders Liquid templates that strangers wrote."""
