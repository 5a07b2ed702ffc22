"""Where records wait until they are delivered."""
