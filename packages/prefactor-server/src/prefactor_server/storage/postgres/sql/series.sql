-- What series are made from and kept in, in the PostgreSQL backend.

-- name: series.runs
-- Runs by their ids.
SELECT {runs} FROM agent_instance t
WHERE t.account_id = $1 AND t.id = ANY ($2::text[])

-- name: series.spans
-- Spans that have an end, by their ids.
SELECT {spans} FROM agent_span t
WHERE t.account_id = $1 AND t.id = ANY ($2::text[]) AND t.finished_at IS NOT NULL

-- name: series.counted_late
-- Spans that were finished late and have been counted, by their ids.
SELECT account_id, agent_instance_id, span_id, counted_at FROM series_late_span
WHERE account_id = $1 AND agent_instance_id = ANY ($2::text[]) AND span_id = ANY ($3::text[])

-- name: series.rollups_by_key
-- Rollups by their keys.
SELECT {rollups} FROM series_rollup t
JOIN unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[])
    AS k (account_id, agent_id, bucket_seconds, start, environment_id)
    USING (account_id, agent_id, bucket_seconds, start, environment_id)

-- name: series.rollups
-- The rollups of an agent in a range.
SELECT {rollups} FROM series_rollup t
WHERE account_id = $1 AND agent_id = $2 AND bucket_seconds = $3 AND start >= $4 AND start < $5
    AND ($6::text IS NULL OR environment_id = $6)
ORDER BY start, environment_id LIMIT $7

-- name: series.first
-- The start of an agent's first rollup.
SELECT min(start) FROM series_rollup
WHERE account_id = $1 AND agent_id = $2 AND bucket_seconds = $3

-- name: series.expired
-- Some rollups that begin before a time. The index is on buckets shorter than a day.
SELECT account_id, agent_id, bucket_seconds, start, environment_id FROM series_rollup
WHERE bucket_seconds = $1 AND bucket_seconds < 86400 AND start < $2 ORDER BY start LIMIT $3
