-- What series are made from and kept in, in the SQLite backend.

-- name: series.runs
-- Runs by their ids.
SELECT {runs} FROM agent_instance t
WHERE t.account_id = :account_id AND t.id IN (SELECT value FROM json_each(:ids))

-- name: series.spans
-- Spans that have an end, by their ids.
SELECT {spans} FROM visible_span t
WHERE t.account_id = :account_id AND t.id IN (SELECT value FROM json_each(:ids))
    AND t.finished_at IS NOT NULL

-- name: series.counted_late
-- Spans that were finished late and have been counted, by their ids.
SELECT account_id, agent_instance_id, span_id, counted_at FROM series_late_span
WHERE account_id = :account_id
    AND agent_instance_id IN (SELECT value FROM json_each(:run_ids))
    AND span_id IN (SELECT value FROM json_each(:ids))

-- name: series.counted_ends
-- The ends with which runs were counted, by the ids of the runs.
SELECT account_id, agent_instance_id, status, started_at, finished_at FROM series_run_end
WHERE account_id = :account_id AND agent_instance_id IN (SELECT value FROM json_each(:run_ids))

-- name: series.rollup
-- One rollup.
SELECT {rollups} FROM series_rollup t
WHERE account_id = ? AND agent_id = ? AND bucket_seconds = ? AND start = ? AND environment_id = ?

-- name: series.rollups_of_bucket
-- The rollups of each environment in one bucket.
SELECT {rollups} FROM series_rollup t
WHERE account_id = ? AND agent_id = ? AND bucket_seconds = ? AND start = ?

-- name: series.rollups
-- The rollups of an agent in one environment, in a range.
SELECT {rollups} FROM series_rollup t
WHERE account_id = :account_id AND agent_id = :agent_id AND bucket_seconds = :bucket_seconds
    AND start >= :start AND start < :end
    AND environment_id = :environment_id AND environment_id <> ''
ORDER BY start LIMIT :limit

-- name: series.rollups_of_all
-- The rollups of an agent in all environments, in a range; those of each where their sum is missing.
SELECT {rollups} FROM series_rollup t
WHERE account_id = :account_id AND agent_id = :agent_id AND bucket_seconds = :bucket_seconds
    AND start >= :start AND start < :end
    AND (
        environment_id = ''
        OR NOT EXISTS (
            SELECT 1 FROM series_rollup s
            WHERE s.account_id = :account_id AND s.agent_id = :agent_id
                AND s.bucket_seconds = :bucket_seconds AND s.start = t.start
                AND s.environment_id = ''
        )
    )
ORDER BY start, environment_id LIMIT :limit

-- name: series.first
-- The start of an agent's first rollup.
SELECT min(start) FROM series_rollup
WHERE account_id = ? AND agent_id = ? AND bucket_seconds = ?

-- name: series.expired
-- Some rollups that begin before a time. The index is on buckets shorter than a day.
SELECT account_id, agent_id, bucket_seconds, start, environment_id FROM series_rollup
WHERE bucket_seconds = ? AND bucket_seconds < 86400 AND start < ? ORDER BY start LIMIT ?
