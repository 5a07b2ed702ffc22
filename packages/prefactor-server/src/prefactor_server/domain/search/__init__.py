"""Search for text in spans: its extraction, its words, and snippets."""
