"""What users declare about their spans, and functions that record themselves."""
