"""Export and import: stored rows as lines that another server can import."""
