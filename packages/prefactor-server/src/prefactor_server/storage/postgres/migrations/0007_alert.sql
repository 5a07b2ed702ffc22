-- Alerts of runs: raised by callers, or by the server under names that are reserved for it.

-- raised -> cleared. dismissed: a caller cleared it while the server still saw its cause.
CREATE TABLE alert (
    id                text COLLATE "C" NOT NULL,
    account_id        text COLLATE "C" NOT NULL,
    agent_id          text COLLATE "C" NOT NULL,
    agent_instance_id text COLLATE "C" NOT NULL,
    environment_id    text COLLATE "C" NOT NULL,
    name              text COLLATE "C" NOT NULL,
    raised_by         text COLLATE "C" NOT NULL CHECK (raised_by IN ('api', 'server')),
    raised_at         bigint NOT NULL,
    title             text COLLATE "C" NOT NULL,
    severity          text COLLATE "C" NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    status            text COLLATE "C" NOT NULL CHECK (status IN ('raised', 'cleared')),
    cleared_at        bigint,
    payload           bytea NOT NULL,
    problem           text COLLATE "C",
    summary           text COLLATE "C",
    dismissed         boolean NOT NULL,
    version           bigint NOT NULL,
    updated_at        bigint NOT NULL,
    revision          bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

-- At most one of a name is raised at a time, whoever raises it.
CREATE UNIQUE INDEX alert_raised ON alert (account_id, agent_instance_id, name)
    WHERE status = 'raised';
CREATE INDEX alert_of_agent ON alert (account_id, agent_id, id);
CREATE INDEX alert_of_instance ON alert (account_id, agent_instance_id, id);
CREATE INDEX alert_age ON alert (account_id, raised_at, id);
-- For the count of what is raised, which pages ask for all the time.
CREATE INDEX alert_of_status ON alert (account_id, status, raised_at, id);
