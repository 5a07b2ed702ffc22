-- The rollups of series, and the rows that they are derived from, on PostgreSQL.

-- name: series.runs
-- Runs by their ids.
SELECT {run} FROM agent_instance t
WHERE t.account_id = $1 AND t.id = ANY ($2::text[])

-- name: series.spans
-- Spans by their ids, if they have an end.
SELECT {finished_span} FROM visible_span t
WHERE t.account_id = $1 AND t.id = ANY ($2::text[]) AND t.finished_at IS NOT NULL

-- name: series.counted_late
-- The given spans that were finished late and have been counted.
SELECT account_id, agent_instance_id, span_id, counted_at FROM series_late_span
WHERE account_id = $1 AND agent_instance_id = ANY ($2::text[]) AND span_id = ANY ($3::text[])

-- name: series.counted_ends
-- The ends with which the given runs were counted.
SELECT account_id, agent_instance_id, status, started_at, finished_at FROM series_run_end
WHERE account_id = $1 AND agent_instance_id = ANY ($2::text[])

-- name: series.rollups_by_key
-- Rollups by their keys. In place of a missing rollup of all environments, those of each
-- environment.
WITH named AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[])
        AS k (account_id, agent_id, bucket_seconds, start, environment_id)
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
WHERE account_id = $1 AND agent_id = $2 AND bucket_seconds = $3 AND start >= $4 AND start < $5
    AND environment_id = $6 AND environment_id <> ''
ORDER BY start LIMIT $7

-- name: series.rollups_of_all
-- The rollups of an agent in all environments, within a range. Where their sum is missing, those of
-- each environment.
SELECT {rollup} FROM series_rollup t
WHERE account_id = $1 AND agent_id = $2 AND bucket_seconds = $3 AND start >= $4 AND start < $5
    AND NOT EXISTS (
        SELECT FROM series_rollup s
        WHERE s.account_id = $1 AND s.agent_id = $2 AND s.bucket_seconds = $3
            AND s.start = t.start AND s.environment_id = '' AND t.environment_id <> ''
    )
ORDER BY start, environment_id LIMIT $6

-- name: series.first
-- The start of an agent's first rollup.
SELECT min(start) FROM series_rollup
WHERE account_id = $1 AND agent_id = $2 AND bucket_seconds = $3

-- name: series.expired
-- Some rollups that start before a time. The index covers buckets shorter than a day.
SELECT account_id, agent_id, bucket_seconds, start, environment_id FROM series_rollup
WHERE bucket_seconds = $1 AND bucket_seconds < 86400 AND start < $2 ORDER BY start LIMIT $3
