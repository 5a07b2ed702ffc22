"""The people of an account and how they are invited."""
