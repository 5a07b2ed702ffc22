"""The rules of webhooks: what is told to whom, how it is signed, and where it may be sent."""
