"""What answers look like, one module per noun."""
