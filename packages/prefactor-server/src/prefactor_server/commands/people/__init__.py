"""The writes of people, their invitations and their sessions."""
