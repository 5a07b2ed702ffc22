"""Records what an AI agent does without making it wait."""
