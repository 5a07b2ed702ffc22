-- What agents did in buckets of time: figures are JSON, see domain/series. agent_id is empty for what
-- all agents of an account did; start is in microseconds.
CREATE TABLE series_rollup (
    account_id     TEXT NOT NULL,
    agent_id       TEXT NOT NULL,
    bucket_seconds INTEGER NOT NULL,
    start          INTEGER NOT NULL,
    environment_id TEXT NOT NULL,
    figures        BLOB NOT NULL,
    PRIMARY KEY (account_id, agent_id, bucket_seconds, start, environment_id)
) STRICT;

-- Days are kept forever, shorter buckets are deleted by their age.
CREATE INDEX series_rollup_by_age ON series_rollup (bucket_seconds, start)
WHERE bucket_seconds < 86400;

-- Spans that a termination had closed, that were finished later, and that have been counted.
CREATE TABLE series_late_span (
    account_id        TEXT NOT NULL,
    agent_instance_id TEXT NOT NULL,
    span_id           TEXT NOT NULL,
    counted_at        INTEGER NOT NULL,
    PRIMARY KEY (account_id, agent_instance_id, span_id)
) WITHOUT ROWID, STRICT;
