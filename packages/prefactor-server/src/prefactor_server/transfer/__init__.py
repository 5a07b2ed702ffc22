"""Export and import: what is stored, as lines that another server takes back."""
