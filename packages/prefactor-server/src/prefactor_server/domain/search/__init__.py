"""Searching for text in spans: what is searched, how it becomes words, and where words are."""
