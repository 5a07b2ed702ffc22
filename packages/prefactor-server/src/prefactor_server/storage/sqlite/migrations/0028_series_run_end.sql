-- The ends with which series counted runs that may end again: provisionally, or by OTLP.
CREATE TABLE series_run_end (
    account_id        TEXT NOT NULL,
    agent_instance_id TEXT NOT NULL,
    status            TEXT NOT NULL,
    started_at        INTEGER,
    finished_at       INTEGER,
    PRIMARY KEY (account_id, agent_instance_id)
) WITHOUT ROWID, STRICT;
