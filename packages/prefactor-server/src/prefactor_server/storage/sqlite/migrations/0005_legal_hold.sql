-- A run with a row here is never pruned.
CREATE TABLE legal_hold (
    account_id        TEXT NOT NULL,
    agent_instance_id TEXT NOT NULL,
    reason            TEXT NOT NULL,
    inserted_at       INTEGER NOT NULL,
    PRIMARY KEY (account_id, agent_instance_id)
) STRICT;

-- For finding the runs that ended longest ago.
CREATE INDEX agent_instance_ended ON agent_instance (account_id, finished_at, id)
    WHERE finished_at IS NOT NULL;
