"""Series: the runs, spans and tokens of an account's agents, by bucket of time."""
