"""Checks values against JSON Schemas that strangers wrote."""
