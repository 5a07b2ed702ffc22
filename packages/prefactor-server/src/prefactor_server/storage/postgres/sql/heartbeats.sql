-- Heartbeats of runs on PostgreSQL.

-- name: record
-- Store heartbeats; the later one of a run is kept. They are in the order of their ids, so that no
-- two servers deadlock.
INSERT INTO run_heartbeat AS stored (account_id, id, last_seen_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (account_id, id) DO UPDATE
SET last_seen_at = greatest(stored.last_seen_at, excluded.last_seen_at)

-- name: is_waiting
-- Whether there is any run to watch.
SELECT EXISTS (SELECT 1 FROM run_heartbeat)
    OR EXISTS (SELECT 1 FROM agent_instance
               WHERE abandoned_at IS NOT NULL AND abandoned_at > coalesce(imported_at, 0))

-- name: uptime.extend
-- Extend the current period of uptime.
UPDATE server_uptime SET ended_at = greatest(ended_at, :now::bigint)
WHERE began_at = (SELECT max(began_at) FROM server_uptime)
  AND ended_at >= :now::bigint - :max_down::bigint

-- name: uptime.begin
-- Begin a period of uptime.
INSERT INTO server_uptime (began_at, ended_at) VALUES (:now, :now) ON CONFLICT DO NOTHING

-- name: uptime.forget
-- Delete old periods of uptime.
DELETE FROM server_uptime WHERE ended_at < :keep_since

-- name: uptime.all
-- All periods of uptime, in order.
SELECT began_at, ended_at FROM server_uptime ORDER BY began_at

-- name: silent
-- Active runs whose heartbeats and writes ended before a time.
SELECT {run} FROM run_heartbeat AS heartbeat
JOIN agent_instance AS t ON t.account_id = heartbeat.account_id AND t.id = heartbeat.id
WHERE heartbeat.last_seen_at < :before AND t.status = 'active' AND t.abandoned_at IS NULL
  AND coalesce(t.last_seen_at, t.updated_at) < :before
ORDER BY heartbeat.last_seen_at LIMIT :limit

-- name: abandoned
-- Active runs that were marked before a time, except those that were marked before an import.
SELECT {run} FROM agent_instance AS t
WHERE t.abandoned_at IS NOT NULL AND t.abandoned_at < :before AND t.status = 'active'
  AND t.abandoned_at > coalesce(t.imported_at, 0)
ORDER BY t.account_id, t.id LIMIT :limit

-- name: unwritten
-- Active runs of an account without writes since a time. Imported runs count only once they have
-- been written to here.
SELECT {run} FROM agent_instance AS t
WHERE t.account_id = :account_id AND t.status = 'active' AND t.id > :after
  AND t.abandoned_at IS NULL AND coalesce(t.last_seen_at, t.updated_at) < :before
  AND coalesce(t.last_seen_at, t.updated_at) > coalesce(t.imported_at, 0)
  AND NOT EXISTS (SELECT 1 FROM run_heartbeat AS heartbeat
                  WHERE heartbeat.account_id = t.account_id AND heartbeat.id = t.id
                    AND heartbeat.last_seen_at >= :before)
ORDER BY t.id LIMIT :limit

-- name: forget
-- Delete old heartbeats of runs that have ended, were deleted, or were marked long ago.
DELETE FROM run_heartbeat WHERE ctid = ANY (ARRAY(
    SELECT heartbeat.ctid FROM run_heartbeat AS heartbeat
    LEFT JOIN agent_instance AS t
      ON t.account_id = heartbeat.account_id AND t.id = heartbeat.id
    WHERE heartbeat.last_seen_at < :before
      AND (t.id IS NULL OR t.status <> 'active' OR t.abandoned_at < :marked_before)
    LIMIT :limit FOR UPDATE OF heartbeat SKIP LOCKED))
