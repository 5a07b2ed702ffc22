-- The rollups of series, and the rows that they are derived from, on PostgreSQL.

-- name: series.runs
-- Runs by their ids.
SELECT {run} FROM agent_instance t
WHERE t.account_id = :account_id AND t.id = ANY (:ids::text[])

-- name: series.spans
-- Spans by their ids, if they have an end.
SELECT {finished_span} FROM visible_span t
WHERE t.account_id = :account_id AND t.id = ANY (:ids::text[]) AND t.finished_at IS NOT NULL

-- name: series.counted_late
-- The given spans that were finished late and have been counted.
SELECT account_id, agent_instance_id, span_id, counted_at FROM series_late_span
WHERE account_id = :account_id
    AND agent_instance_id = ANY (:run_ids::text[]) AND span_id = ANY (:ids::text[])

-- name: series.counted_ends
-- The ends with which the given runs were counted.
SELECT account_id, agent_instance_id, status, started_at, finished_at FROM series_run_end
WHERE account_id = :account_id AND agent_instance_id = ANY (:run_ids::text[])

-- name: series.rollups_by_key
-- Rollups by their keys. In place of a missing rollup of all environments, those of each
-- environment.
WITH named AS (
    SELECT * FROM unnest(
        :account_id::text[], :agent_id::text[], :bucket_seconds::bigint[], :start::bigint[],
        :environment_id::text[]
    ) AS k (account_id, agent_id, bucket_seconds, start, environment_id)
)
SELECT {rollup} FROM series_rollup t
JOIN named USING (account_id, agent_id, bucket_seconds, start, environment_id)
UNION ALL
SELECT {rollup} FROM series_rollup t
JOIN named k USING (account_id, agent_id, bucket_seconds, start)
WHERE k.environment_id = '' AND t.environment_id <> ''
    AND NOT EXISTS (
        SELECT FROM series_rollup s
        WHERE s.account_id = k.account_id AND s.agent_id = k.agent_id
            AND s.bucket_seconds = k.bucket_seconds AND s.start = k.start AND s.environment_id = ''
    )

-- name: series.rollups
-- The rollups of an agent in one environment, within a range.
SELECT {rollup} FROM series_rollup t
WHERE account_id = :account_id AND agent_id = :agent_id AND bucket_seconds = :bucket_seconds
    AND start >= :start AND start < :end
    AND environment_id = :environment_id AND environment_id <> ''
ORDER BY start LIMIT :limit

-- name: series.rollups_of_all
-- The rollups of an agent in all environments, within a range. Where their sum is missing, those of
-- each environment.
SELECT {rollup} FROM series_rollup t
WHERE account_id = :account_id AND agent_id = :agent_id AND bucket_seconds = :bucket_seconds
    AND start >= :start AND start < :end
    AND NOT EXISTS (
        SELECT FROM series_rollup s
        WHERE s.account_id = :account_id AND s.agent_id = :agent_id
            AND s.bucket_seconds = :bucket_seconds AND s.start = t.start
            AND s.environment_id = '' AND t.environment_id <> ''
    )
ORDER BY start, environment_id LIMIT :limit

-- name: series.first
-- The start of an agent's first rollup.
SELECT min(start) FROM series_rollup
WHERE account_id = :account_id AND agent_id = :agent_id AND bucket_seconds = :bucket_seconds

-- name: series.expired
-- Some rollups that start before a time. The index covers buckets shorter than a day.
SELECT account_id, agent_id, bucket_seconds, start, environment_id FROM series_rollup
WHERE bucket_seconds = :bucket_seconds AND bucket_seconds < 86400 AND start < :before
ORDER BY start LIMIT :limit
