"""Search for text in spans: extraction, words and snippets."""
