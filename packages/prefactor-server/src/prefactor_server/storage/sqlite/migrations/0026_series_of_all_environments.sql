-- Days that were counted before there were rollups of all environments. They are rewritten, and then
-- their rows here are deleted. Shorter buckets are left: they are deleted by their age.
CREATE TABLE series_rollup_due (
    account_id     TEXT NOT NULL,
    agent_id       TEXT NOT NULL,
    bucket_seconds INTEGER NOT NULL,
    start          INTEGER NOT NULL,
    PRIMARY KEY (account_id, agent_id, bucket_seconds, start)
) WITHOUT ROWID, STRICT;

INSERT INTO series_rollup_due
SELECT DISTINCT account_id, agent_id, bucket_seconds, start FROM series_rollup
WHERE bucket_seconds = 86400;
