"""The reads of people, their invitations, their sessions and the audit log."""
