-- Runs whose agents fell silent: when a run was marked as abandoned, and when its agent last wrote
-- something of it. NULL for runs that were there before.
ALTER TABLE agent_instance ADD COLUMN abandoned_at INTEGER;
ALTER TABLE agent_instance ADD COLUMN last_seen_at INTEGER;

CREATE INDEX agent_instance_abandoned ON agent_instance (account_id, id)
    WHERE abandoned_at IS NOT NULL;

-- When the last heartbeat of a run came. The row goes after the run has ended.
CREATE TABLE run_heartbeat (
    account_id   TEXT NOT NULL,
    id           TEXT NOT NULL,
    last_seen_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE INDEX run_heartbeat_silent ON run_heartbeat (last_seen_at);

-- The times in which a server was there to be told, while there were heartbeats to wait for.
CREATE TABLE server_uptime (
    began_at INTEGER NOT NULL PRIMARY KEY,
    ended_at INTEGER NOT NULL
) STRICT;
