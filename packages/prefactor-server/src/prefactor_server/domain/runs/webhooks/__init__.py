"""The rules of webhooks: which events are sent, how they are signed, which URLs are allowed."""
