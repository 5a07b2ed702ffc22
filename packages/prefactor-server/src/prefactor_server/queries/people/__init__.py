"""The reads of people, their invitations, their sessions and what they did."""
