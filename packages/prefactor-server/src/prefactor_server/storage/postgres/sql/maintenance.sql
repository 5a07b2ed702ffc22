-- The maintenance of the PostgreSQL backend.

-- name: probe.write
-- A write that is taken back, to see that one would be taken.
INSERT INTO write_receipt (id) VALUES ($1)

-- name: probe.read
-- Whether there is anything in the tables that every request needs: they have to be there.
SELECT EXISTS (SELECT 1 FROM account), EXISTS (SELECT 1 FROM api_token),
       EXISTS (SELECT 1 FROM agent), EXISTS (SELECT 1 FROM agent_instance),
       EXISTS (SELECT 1 FROM agent_span), EXISTS (SELECT 1 FROM span_payload),
       EXISTS (SELECT 1 FROM idempotency_key)

-- name: verify.runs
-- A slice of runs: what each counts, what its spans come to, and whether what it refers to is there.
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
-- A slice of spans, each with its payloads.
SELECT span.account_id, span.id,
       EXISTS (SELECT 1 FROM agent_instance AS run
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
-- A slice of payloads, and whether their span is there.
SELECT payload.account_id, payload.span_id, payload.part,
       EXISTS (SELECT 1 FROM agent_span AS span
               WHERE span.account_id = payload.account_id AND span.id = payload.span_id)
FROM (SELECT account_id, span_id, part FROM span_payload
      WHERE (account_id, span_id, part) > ($1, $2, $3)
      ORDER BY account_id, span_id, part LIMIT $4) AS payload
ORDER BY payload.account_id, payload.span_id, payload.part

-- name: prune.preview
-- A slice of old runs that nothing holds: how many spans and stored bytes each has.
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
-- How many old runs are held.
SELECT count(*) FROM legal_hold AS hold
JOIN agent_instance AS run
  ON run.account_id = hold.account_id AND run.id = hold.agent_instance_id
WHERE hold.account_id = $1 AND run.finished_at < $2
  AND ($3::text IS NULL OR run.agent_id = $3) AND ($4::text IS NULL OR run.environment_id = $4)

-- name: prune.lock
-- The old runs that nothing holds, those first that ended first, with the number of their spans.
-- Locked, so that no span and no hold comes in between; what another server is at is left to the
-- next slice.
SELECT run.id, run.pending_spans + run.active_spans + run.complete_spans + run.failed_spans
         + run.cancelled_spans
FROM agent_instance AS run
WHERE run.account_id = $1 AND run.finished_at < $2
  AND ($3::text IS NULL OR run.agent_id = $3) AND ($4::text IS NULL OR run.environment_id = $4)
  AND NOT EXISTS (SELECT 1 FROM legal_hold AS hold
                  WHERE hold.account_id = run.account_id AND hold.agent_instance_id = run.id)
ORDER BY run.finished_at, run.id LIMIT $5 FOR UPDATE SKIP LOCKED

-- name: retention.ended
-- A slice of the old runs, with what a policy asks of them, and whether they are held.
SELECT run.id, run.agent_id, run.environment_id, run.purpose, run.finished_at,
       run.pending_spans + run.active_spans + run.complete_spans + run.failed_spans
         + run.cancelled_spans,
       EXISTS (SELECT 1 FROM legal_hold AS hold
               WHERE hold.account_id = run.account_id AND hold.agent_instance_id = run.id)
FROM agent_instance AS run
WHERE run.account_id = $1 AND run.finished_at < $2 AND (run.finished_at, run.id) > ($3, $4)
ORDER BY run.finished_at, run.id LIMIT $5

-- name: retention.unended
-- A slice of the runs that never ended: marked as abandoned before a time, or neither started nor
-- changed since. That is what their age counts from.
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
-- Of some runs, those that ended before a time, as above. Locked as above.
SELECT run.id FROM agent_instance AS run
WHERE run.account_id = $1 AND run.id = ANY ($2::text[])
  AND coalesce(run.finished_at, run.abandoned_at,
               CASE run.status WHEN 'pending' THEN run.updated_at END) < $3
ORDER BY run.id FOR UPDATE SKIP LOCKED

-- name: prune.unheld
-- Of runs that are locked, those that were not held meanwhile.
SELECT run.id FROM unnest($2::text[]) AS run (id)
WHERE NOT EXISTS (SELECT 1 FROM legal_hold AS hold
                  WHERE hold.account_id = $1 AND hold.agent_instance_id = run.id)

-- name: prune.count_spans
-- How many spans runs have.
SELECT count(*) FROM agent_span
WHERE account_id = $1 AND agent_instance_id = ANY ($2::text[])

-- name: prune.delete_payloads
-- The payloads of the spans of runs; how many bytes they were.
WITH gone AS (
    DELETE FROM span_payload AS payload USING agent_span AS span
    WHERE span.account_id = $1 AND span.agent_instance_id = ANY ($2::text[])
      AND payload.account_id = span.account_id AND payload.span_id = span.id
    RETURNING octet_length(payload.body) AS size
)
SELECT coalesce(sum(size), 0)::bigint FROM gone

-- name: prune.delete_spans
-- The spans of runs.
DELETE FROM agent_span WHERE account_id = $1 AND agent_instance_id = ANY ($2::text[])

-- name: prune.delete_quality
-- What was recorded about runs.
DELETE FROM agent_instance_quality WHERE account_id = $1 AND id = ANY ($2::text[])

-- name: prune.delete_alerts
-- The alerts of runs.
DELETE FROM alert WHERE account_id = $1 AND agent_instance_id = ANY ($2::text[])

-- name: prune.delete_webhook_deliveries
-- The sent and unsent deliveries about runs.
DELETE FROM webhook_delivery
WHERE account_id = $1 AND agent_instance_id = ANY ($2::text[])

-- name: prune.delete_metadata
-- The metadata of runs; its entries go with it.
DELETE FROM agent_instance_metadata WHERE account_id = $1 AND id = ANY ($2::text[])

-- name: prune.delete_runs
-- Runs without spans.
DELETE FROM agent_instance WHERE account_id = $1 AND id = ANY ($2::text[])

-- name: hold.all
-- The holds of an account.
SELECT account_id, agent_instance_id, reason, inserted_at FROM legal_hold
WHERE account_id = $1 ORDER BY inserted_at, agent_instance_id

-- name: hold.run
-- A run to hold, locked until it is: nobody deletes it meanwhile.
SELECT id FROM agent_instance WHERE account_id = $1 AND id = $2 FOR UPDATE

-- name: hold.add
-- A hold, or its new reason.
INSERT INTO legal_hold (account_id, agent_instance_id, reason, inserted_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id, agent_instance_id) DO UPDATE SET reason = excluded.reason

-- name: hold.remove
-- A hold is taken off.
DELETE FROM legal_hold WHERE account_id = $1 AND agent_instance_id = $2

-- name: audit.add
-- What an operator did.
INSERT INTO audit_entry (account_id, at, actor, action, resource_id, detail)
VALUES ($1, $2, $3, $4, $5, $6)

-- name: audit.extend
-- The entry of a deletion, after another slice of it.
UPDATE audit_entry SET detail = $6
WHERE account_id = $1 AND at = $2 AND actor = $3 AND action = $4 AND resource_id = $5
  AND detail = $7

-- name: audit.forget
-- Some of the old entries of an account.
DELETE FROM audit_entry WHERE account_id = $1 AND id = ANY (ARRAY(
    SELECT id FROM audit_entry WHERE account_id = $1 AND at < $2
    ORDER BY at, id LIMIT $3 FOR UPDATE SKIP LOCKED))

-- name: session.forget_expired
-- Some of the sessions that are too old.
DELETE FROM session WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM session WHERE expires_at <= $1
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))

-- name: session.forget_idle
-- Some of the sessions that were not used for too long.
DELETE FROM session WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM session WHERE last_used_at <= $1
    ORDER BY last_used_at LIMIT $2 FOR UPDATE SKIP LOCKED))

-- name: sign_in_link.forget
-- Some of the links that work no longer.
DELETE FROM sign_in_link WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM sign_in_link WHERE inserted_at <= $1
    ORDER BY inserted_at LIMIT $2 FOR UPDATE SKIP LOCKED))

-- name: otlp_trace.silent
-- Traces that nothing has come of since a time, the longest silent first.
SELECT id, account_id, agent_instance_id, inserted_at, is_open, last_end, document, updated_at
FROM otlp_trace WHERE updated_at < $1 ORDER BY updated_at LIMIT $2

-- name: database.status
-- The version of the server, the last migration, and how much room the database takes.
SELECT split_part(current_setting('server_version'), ' ', 1),
    (SELECT max(version) FROM migration),
    pg_database_size(current_database())
