-- What agents did in buckets of time: figures are JSON, see domain/series. agent_id is empty for what
-- all agents of an account did; start is in microseconds.
CREATE TABLE series_rollup (
    account_id     text COLLATE "C" NOT NULL,
    agent_id       text COLLATE "C" NOT NULL,
    bucket_seconds bigint NOT NULL,
    start          bigint NOT NULL,
    environment_id text COLLATE "C" NOT NULL,
    figures        bytea NOT NULL,
    PRIMARY KEY (account_id, agent_id, bucket_seconds, start, environment_id)
);

-- Days are kept forever, shorter buckets are deleted by their age.
CREATE INDEX series_rollup_by_age ON series_rollup (bucket_seconds, start)
WHERE bucket_seconds < 86400;

-- Spans that a termination had closed, that were finished later, and that have been counted.
CREATE TABLE series_late_span (
    account_id        text COLLATE "C" NOT NULL,
    agent_instance_id text COLLATE "C" NOT NULL,
    span_id           text COLLATE "C" NOT NULL,
    counted_at        bigint NOT NULL,
    PRIMARY KEY (account_id, agent_instance_id, span_id)
);
