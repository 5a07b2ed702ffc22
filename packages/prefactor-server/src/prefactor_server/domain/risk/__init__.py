"""Risk: profiles, the score of a run, and the roll-up of an agent."""
