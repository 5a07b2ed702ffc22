"""Code shared by the integrations."""
