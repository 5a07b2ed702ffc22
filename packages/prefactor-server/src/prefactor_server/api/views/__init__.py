"""The bodies of answers, one module per noun."""
