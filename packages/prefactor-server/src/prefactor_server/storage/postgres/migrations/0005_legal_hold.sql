-- A run with a row here is never pruned.
CREATE TABLE legal_hold (
    account_id        text COLLATE "C" NOT NULL,
    agent_instance_id text COLLATE "C" NOT NULL,
    reason            text COLLATE "C" NOT NULL,
    inserted_at       bigint NOT NULL,
    PRIMARY KEY (account_id, agent_instance_id)
);

-- For finding the runs that ended longest ago.
CREATE INDEX agent_instance_ended ON agent_instance (account_id, finished_at, id)
    WHERE finished_at IS NOT NULL;
