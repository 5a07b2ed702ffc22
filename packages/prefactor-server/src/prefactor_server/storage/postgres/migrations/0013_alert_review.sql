-- What the server's own alerts have to follow: a profile, or that of an agent, has changed.
CREATE TABLE alert_review (
    id         text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    after      text COLLATE "C" NOT NULL,
    updated_at bigint NOT NULL,
    revision   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

-- Alerts are rows now, and are no longer looked for among runs.
DROP INDEX agent_instance_ended_badly;
