"""Where rows live: one protocol, and one folder per database that keeps it."""
