-- What the server's own alerts have to follow: a profile, or that of an agent, has changed.
CREATE TABLE alert_review (
    id         TEXT NOT NULL,
    account_id TEXT NOT NULL,
    after      TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

-- Alerts are rows now, and are no longer looked for among runs.
DROP INDEX agent_instance_ended_badly;
