-- Maintenance on PostgreSQL.

-- name: probe.write
-- A write that is rolled back, to check that the database accepts writes.
INSERT INTO write_receipt (id) VALUES ($1)

-- name: probe.read
-- A read of each table that requests need, to check that the tables exist.
SELECT EXISTS (SELECT 1 FROM account), EXISTS (SELECT 1 FROM api_token),
       EXISTS (SELECT 1 FROM agent), EXISTS (SELECT 1 FROM agent_instance),
       EXISTS (SELECT 1 FROM agent_span), EXISTS (SELECT 1 FROM span_payload),
       EXISTS (SELECT 1 FROM idempotency_key)

-- name: verify.runs
-- A slice of runs: their stored span counts, the actual counts, and whether the rows that they
-- refer to exist.
SELECT run.account_id, run.id,
       run.pending_spans, run.active_spans, run.complete_spans, run.failed_spans,
       run.cancelled_spans,
       spans.pending, spans.active, spans.complete, spans.failed, spans.cancelled,
       EXISTS (SELECT 1 FROM agent
               WHERE agent.account_id = run.account_id AND agent.id = run.agent_id),
       EXISTS (SELECT 1 FROM agent_schema_version AS version
               WHERE version.account_id = run.account_id
                 AND version.id = run.agent_schema_version_id)
FROM (SELECT * FROM agent_instance WHERE (account_id, id) > ($1, $2)
      ORDER BY account_id, id LIMIT $3) AS run
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 'pending') AS pending,
           count(*) FILTER (WHERE status = 'active') AS active,
           count(*) FILTER (WHERE status = 'complete') AS complete,
           count(*) FILTER (WHERE status = 'failed') AS failed,
           count(*) FILTER (WHERE status = 'cancelled') AS cancelled
    FROM agent_span AS span
    WHERE span.account_id = run.account_id AND span.agent_instance_id = run.id
) AS spans
ORDER BY run.account_id, run.id

-- name: verify.spans
-- A slice of spans with their payloads.
SELECT span.account_id, span.id,
       EXISTS (SELECT 1 FROM agent_instance AS run
               WHERE run.account_id = span.account_id AND run.id = span.agent_instance_id)
         OR EXISTS (SELECT 1 FROM deleted_run AS run
                    WHERE run.account_id = span.account_id AND run.id = span.agent_instance_id),
       span.payload_size, payload.codec, payload.body,
       span.result_size, result.codec, result.body
FROM (SELECT * FROM agent_span WHERE (account_id, id) > ($1, $2)
      ORDER BY account_id, id LIMIT $3) AS span
LEFT JOIN span_payload AS payload
  ON payload.account_id = span.account_id AND payload.span_id = span.id AND payload.part = 0
LEFT JOIN span_payload AS result
  ON result.account_id = span.account_id AND result.span_id = span.id AND result.part = 1
ORDER BY span.account_id, span.id

-- name: verify.payloads
-- A slice of payloads, and whether their span exists.
SELECT payload.account_id, payload.span_id, payload.part,
       EXISTS (SELECT 1 FROM agent_span AS span
               WHERE span.account_id = payload.account_id AND span.id = payload.span_id)
FROM (SELECT account_id, span_id, part FROM span_payload
      WHERE (account_id, span_id, part) > ($1, $2, $3)
      ORDER BY account_id, span_id, part LIMIT $4) AS payload
ORDER BY payload.account_id, payload.span_id, payload.part

-- name: prune.preview
-- A slice of old runs without a legal hold, with the number of their spans and of their stored
-- bytes.
SELECT run.id, run.finished_at,
       run.pending_spans + run.active_spans + run.complete_spans + run.failed_spans
         + run.cancelled_spans,
       (SELECT coalesce(sum(octet_length(payload.body)), 0)::bigint
        FROM agent_span AS span
        JOIN span_payload AS payload
          ON payload.account_id = span.account_id AND payload.span_id = span.id
        WHERE span.account_id = run.account_id AND span.agent_instance_id = run.id)
FROM agent_instance AS run
WHERE run.account_id = $1 AND run.finished_at < $2
  AND ($3::text IS NULL OR run.agent_id = $3) AND ($4::text IS NULL OR run.environment_id = $4)
  AND (run.finished_at, run.id) > ($5, $6)
  AND NOT EXISTS (SELECT 1 FROM legal_hold AS hold
                  WHERE hold.account_id = run.account_id AND hold.agent_instance_id = run.id)
ORDER BY run.finished_at, run.id LIMIT $7

-- name: prune.held
-- The number of old runs with a legal hold.
SELECT count(*) FROM legal_hold AS hold
JOIN agent_instance AS run
  ON run.account_id = hold.account_id AND run.id = hold.agent_instance_id
WHERE hold.account_id = $1 AND run.finished_at < $2
  AND ($3::text IS NULL OR run.agent_id = $3) AND ($4::text IS NULL OR run.environment_id = $4)

-- name: prune.lock
-- Old runs without a legal hold, in the order in which they ended, with the number of their spans.
-- They are locked, so that no span and no hold is added meanwhile. Runs that another server has
-- locked are left to the next slice.
SELECT run.id, run.pending_spans + run.active_spans + run.complete_spans + run.failed_spans
         + run.cancelled_spans
FROM agent_instance AS run
WHERE run.account_id = $1 AND run.finished_at < $2
  AND ($3::text IS NULL OR run.agent_id = $3) AND ($4::text IS NULL OR run.environment_id = $4)
  AND NOT EXISTS (SELECT 1 FROM legal_hold AS hold
                  WHERE hold.account_id = run.account_id AND hold.agent_instance_id = run.id)
ORDER BY run.finished_at, run.id LIMIT $5 FOR UPDATE SKIP LOCKED

-- name: retention.ended
-- A slice of old runs, with the columns that policies select by, and whether they have a legal
-- hold.
SELECT run.id, run.agent_id, run.environment_id, run.purpose, run.finished_at,
       run.pending_spans + run.active_spans + run.complete_spans + run.failed_spans
         + run.cancelled_spans,
       EXISTS (SELECT 1 FROM legal_hold AS hold
               WHERE hold.account_id = run.account_id AND hold.agent_instance_id = run.id)
FROM agent_instance AS run
WHERE run.account_id = $1 AND run.finished_at < $2 AND (run.finished_at, run.id) > ($3, $4)
ORDER BY run.finished_at, run.id LIMIT $5

-- name: retention.unended
-- A slice of runs that never ended, and their age: since they were marked as abandoned, or since a
-- pending run last changed.
SELECT run.id, run.agent_id, run.environment_id, run.purpose, run.ended_at,
       run.pending_spans + run.active_spans + run.complete_spans + run.failed_spans
         + run.cancelled_spans,
       EXISTS (SELECT 1 FROM legal_hold AS hold
               WHERE hold.account_id = run.account_id AND hold.agent_instance_id = run.id)
FROM (
    SELECT * FROM (
        SELECT *, abandoned_at AS ended_at FROM agent_instance
        WHERE account_id = $1 AND abandoned_at IS NOT NULL AND abandoned_at < $2
          AND finished_at IS NULL AND id > $3
        ORDER BY id LIMIT $4) AS abandoned
    UNION ALL
    SELECT * FROM (
        SELECT *, updated_at AS ended_at FROM agent_instance
        WHERE account_id = $1 AND status = 'pending' AND updated_at < $2 AND id > $3
        ORDER BY id LIMIT $4) AS pending
) AS run
ORDER BY run.id LIMIT $4

-- name: prune.lock_runs
-- Lock the given runs that ended before a time, or whose age counts from before it. Runs that
-- another server has locked are skipped.
SELECT run.id FROM agent_instance AS run
WHERE run.account_id = $1 AND run.id = ANY ($2::text[])
  AND coalesce(run.finished_at, run.abandoned_at,
               CASE run.status WHEN 'pending' THEN run.updated_at END) < $3
ORDER BY run.id FOR UPDATE SKIP LOCKED

-- name: prune.unheld
-- The given locked runs without a legal hold.
SELECT run.id FROM unnest($2::text[]) AS run (id)
WHERE NOT EXISTS (SELECT 1 FROM legal_hold AS hold
                  WHERE hold.account_id = $1 AND hold.agent_instance_id = run.id)

-- name: prune.count_spans
-- The number of spans of runs.
SELECT count(*) FROM agent_span
WHERE account_id = $1 AND agent_instance_id = ANY ($2::text[])

-- name: prune.delete_payloads
-- Delete the payloads of runs; return how many bytes they had.
WITH gone AS (
    DELETE FROM span_payload AS payload USING agent_span AS span
    WHERE span.account_id = $1 AND span.agent_instance_id = ANY ($2::text[])
      AND payload.account_id = span.account_id AND payload.span_id = span.id
    RETURNING octet_length(payload.body) AS size
)
SELECT coalesce(sum(size), 0)::bigint FROM gone

-- name: prune.delete_spans
-- Delete the spans of runs.
DELETE FROM agent_span WHERE account_id = $1 AND agent_instance_id = ANY ($2::text[])

-- name: prune.payload_bytes
-- The bytes of the payloads of runs.
SELECT coalesce(sum(octet_length(payload.body)), 0)::bigint
FROM agent_span AS span JOIN span_payload AS payload
  ON payload.account_id = span.account_id AND payload.span_id = span.id
WHERE span.account_id = $1 AND span.agent_instance_id = ANY ($2::text[])

-- name: prune.hide_spans
-- Mark runs whose spans are deleted later. Until then, these spans are not shown.
INSERT INTO deleted_run (account_id, id) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING

-- name: deleted.lock
-- Lock the mark of a deleted run, so that no run gets its id meanwhile. Runs that another server
-- is at are skipped.
SELECT account_id, id FROM deleted_run
ORDER BY account_id, id LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: deleted.spans
-- Some spans of a deleted run.
SELECT id FROM agent_span WHERE account_id = $1 AND agent_instance_id = $2 ORDER BY id LIMIT $3

-- name: deleted.delete_payloads
-- Delete the payloads of some spans. The lowest and the highest id let PostgreSQL skip partitions.
DELETE FROM span_payload
WHERE account_id = $1 AND span_id = ANY ($2::text[]) AND span_id >= $3 AND span_id <= $4

-- name: deleted.delete_spans
-- Delete some spans.
DELETE FROM agent_span WHERE account_id = $1 AND id = ANY ($2::text[]) AND id >= $3 AND id <= $4

-- name: deleted.forget
-- Delete the mark of a deleted run without remaining spans.
DELETE FROM deleted_run WHERE account_id = $1 AND id = $2

-- name: prune.delete_runs
-- Delete runs, after their spans, with everything else that belongs to them: quality, metadata with
-- its entries, alerts, and webhook deliveries, sent or not.
WITH quality AS (
    DELETE FROM agent_instance_quality WHERE account_id = $1 AND id = ANY ($2::text[])
), metadata AS (
    DELETE FROM agent_instance_metadata WHERE account_id = $1 AND id = ANY ($2::text[])
), alerts AS (
    DELETE FROM alert WHERE account_id = $1 AND agent_instance_id = ANY ($2::text[])
), deliveries AS (
    DELETE FROM webhook_delivery WHERE account_id = $1 AND agent_instance_id = ANY ($2::text[])
)
DELETE FROM agent_instance WHERE account_id = $1 AND id = ANY ($2::text[])

-- name: hold.all
-- The holds of an account, oldest first.
SELECT account_id, agent_instance_id, reason, inserted_at FROM legal_hold
WHERE account_id = $1 ORDER BY inserted_at, agent_instance_id

-- name: hold.run
-- Lock a run that is to be held, so that it is not deleted meanwhile.
SELECT id FROM agent_instance WHERE account_id = $1 AND id = $2 FOR UPDATE

-- name: hold.add
-- Add a hold, or replace its reason.
INSERT INTO legal_hold (account_id, agent_instance_id, reason, inserted_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id, agent_instance_id) DO UPDATE SET reason = excluded.reason

-- name: hold.remove
-- Remove a hold.
DELETE FROM legal_hold WHERE account_id = $1 AND agent_instance_id = $2

-- name: audit.add
-- Add an entry to the audit log.
INSERT INTO audit_entry (account_id, at, actor, action, resource_id, detail)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: audit.extend
-- Update the entry of a deletion after another slice of it.
UPDATE audit_entry SET detail = $6
WHERE account_id = $1 AND at = $2 AND actor = $3 AND action = $4 AND resource_id = $5
  AND detail = $7

-- name: audit.forget
-- Delete some old entries of an account.
DELETE FROM audit_entry WHERE account_id = $1 AND id = ANY (ARRAY(
    SELECT id FROM audit_entry WHERE account_id = $1 AND at < $2
    ORDER BY at, id LIMIT $3 FOR UPDATE SKIP LOCKED))

-- name: session.forget_expired
-- Delete some expired sessions.
DELETE FROM session WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM session WHERE expires_at <= $1
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))

-- name: session.forget_idle
-- Delete some sessions that were idle for too long.
DELETE FROM session WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM session WHERE last_used_at <= $1
    ORDER BY last_used_at LIMIT $2 FOR UPDATE SKIP LOCKED))

-- name: sign_in_link.forget
-- Delete some expired links.
DELETE FROM sign_in_link WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM sign_in_link WHERE inserted_at <= $1
    ORDER BY inserted_at LIMIT $2 FOR UPDATE SKIP LOCKED))

-- name: otlp_trace.silent
-- Traces without new spans since a time, longest idle first.
SELECT id, account_id, agent_instance_id, inserted_at, is_open, last_end, document, updated_at
FROM otlp_trace WHERE updated_at < $1 ORDER BY updated_at LIMIT $2

-- name: database.status
-- The version of the server, the last migration, and the size of the database.
SELECT split_part(current_setting('server_version'), ' ', 1),
    (SELECT max(version) FROM migration),
    pg_database_size(current_database())

-- name: clock
-- The time of the database's clock, in microseconds.
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
