-- The ends with which series counted runs that may end again: provisionally, or by OTLP.
CREATE TABLE series_run_end (
    account_id        text COLLATE "C" NOT NULL,
    agent_instance_id text COLLATE "C" NOT NULL,
    status            text COLLATE "C" NOT NULL,
    started_at        bigint,
    finished_at       bigint,
    PRIMARY KEY (account_id, agent_instance_id)
);
