-- Alerts of runs: raised by callers, or by the server under names that are reserved for it.

-- raised -> cleared. dismissed: a caller cleared it while the server still saw its cause.
CREATE TABLE alert (
    id                TEXT NOT NULL,
    account_id        TEXT NOT NULL,
    agent_id          TEXT NOT NULL,
    agent_instance_id TEXT NOT NULL,
    environment_id    TEXT NOT NULL,
    name              TEXT NOT NULL,
    raised_by         TEXT NOT NULL CHECK (raised_by IN ('api', 'server')),
    raised_at         INTEGER NOT NULL,
    title             TEXT NOT NULL,
    severity          TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    status            TEXT NOT NULL CHECK (status IN ('raised', 'cleared')),
    cleared_at        INTEGER,
    payload           BLOB NOT NULL,
    problem           TEXT,
    summary           TEXT,
    dismissed         INTEGER NOT NULL,
    version           INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

-- At most one of a name is raised at a time, whoever raises it.
CREATE UNIQUE INDEX alert_raised ON alert (account_id, agent_instance_id, name)
    WHERE status = 'raised';
CREATE INDEX alert_of_agent ON alert (account_id, agent_id, id);
CREATE INDEX alert_of_instance ON alert (account_id, agent_instance_id, id);
CREATE INDEX alert_age ON alert (account_id, raised_at, id);
-- For the count of what is raised, which pages ask for all the time.
CREATE INDEX alert_of_status ON alert (account_id, status, raised_at, id);
