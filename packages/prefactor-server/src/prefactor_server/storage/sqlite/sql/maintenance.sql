-- Maintenance on SQLite.

-- name: verify.runs
-- A slice of runs: their stored span counts, the actual counts, and whether the rows that they
-- refer to exist.
SELECT run.account_id, run.id,
       run.pending_spans, run.active_spans, run.complete_spans, run.failed_spans,
       run.cancelled_spans,
       count(*) FILTER (WHERE span.status = 'pending'),
       count(*) FILTER (WHERE span.status = 'active'),
       count(*) FILTER (WHERE span.status = 'complete'),
       count(*) FILTER (WHERE span.status = 'failed'),
       count(*) FILTER (WHERE span.status = 'cancelled'),
       EXISTS (SELECT 1 FROM agent
               WHERE agent.account_id = run.account_id AND agent.id = run.agent_id),
       EXISTS (SELECT 1 FROM agent_schema_version AS version
               WHERE version.account_id = run.account_id
                 AND version.id = run.agent_schema_version_id)
FROM (SELECT * FROM agent_instance WHERE (account_id, id) > (:account_id, :id)
      ORDER BY account_id, id LIMIT :slice) AS run
LEFT JOIN agent_span AS span
  ON span.account_id = run.account_id AND span.agent_instance_id = run.id
GROUP BY run.account_id, run.id
ORDER BY run.account_id, run.id

-- name: verify.spans
-- A slice of spans with their payloads. The last column is the cursor of the next slice.
SELECT span.account_id, span.id,
       EXISTS (SELECT 1 FROM agent_instance AS run
               WHERE run.account_id = span.account_id AND run.id = span.agent_instance_id)
         OR EXISTS (SELECT 1 FROM deleted_run AS run
                    WHERE run.account_id = span.account_id AND run.id = span.agent_instance_id),
       span.payload_size, payload.codec, payload.body,
       span.result_size, result.codec, result.body, span.seq
FROM (SELECT * FROM agent_span WHERE seq > :seq ORDER BY seq LIMIT :slice) AS span
LEFT JOIN span_payload AS payload ON payload.id = span.seq * 2
LEFT JOIN span_payload AS result ON result.id = span.seq * 2 + 1
ORDER BY span.seq

-- name: verify.payloads
-- A slice of payloads, and whether their span exists.
SELECT payload.id, EXISTS (SELECT 1 FROM agent_span WHERE seq = payload.id / 2)
FROM (SELECT id FROM span_payload WHERE id > :id ORDER BY id LIMIT :slice) AS payload
ORDER BY payload.id

-- name: prune.preview
-- A slice of old runs without a legal hold, with the number of their spans and of their stored
-- bytes.
SELECT run.id, run.finished_at,
       run.pending_spans + run.active_spans + run.complete_spans + run.failed_spans
         + run.cancelled_spans,
       (SELECT coalesce(sum(length(payload.body)), 0)
        FROM agent_span AS span
        JOIN span_payload AS payload ON payload.id BETWEEN span.seq * 2 AND span.seq * 2 + 1
        WHERE span.account_id = run.account_id AND span.agent_instance_id = run.id)
FROM agent_instance AS run
WHERE run.account_id = :account_id AND run.finished_at < :ended_before
  AND (run.finished_at, run.id) > (:finished_at, :id)
  AND (:agent_id IS NULL OR run.agent_id = :agent_id)
  AND (:environment_id IS NULL OR run.environment_id = :environment_id)
  AND NOT EXISTS (SELECT 1 FROM legal_hold AS hold
                  WHERE hold.account_id = run.account_id AND hold.agent_instance_id = run.id)
ORDER BY run.finished_at, run.id LIMIT :slice

-- name: prune.held
-- The number of old runs with a legal hold.
SELECT count(*) FROM legal_hold AS hold
CROSS JOIN agent_instance AS run
  ON run.account_id = hold.account_id AND run.id = hold.agent_instance_id
WHERE hold.account_id = :account_id AND run.finished_at < :ended_before
  AND (:agent_id IS NULL OR run.agent_id = :agent_id)
  AND (:environment_id IS NULL OR run.environment_id = :environment_id)

-- name: prune.runs
-- Old runs without a legal hold, in the order in which they ended, with the number of their spans.
SELECT run.id, run.pending_spans + run.active_spans + run.complete_spans + run.failed_spans
         + run.cancelled_spans
FROM agent_instance AS run
WHERE run.account_id = :account_id AND run.finished_at < :ended_before
  AND (:agent_id IS NULL OR run.agent_id = :agent_id)
  AND (:environment_id IS NULL OR run.environment_id = :environment_id)
  AND NOT EXISTS (SELECT 1 FROM legal_hold AS hold
                  WHERE hold.account_id = run.account_id AND hold.agent_instance_id = run.id)
ORDER BY run.finished_at, run.id LIMIT :runs

-- name: retention.ended
-- A slice of old runs, with the columns that policies select by, and whether they have a legal
-- hold.
SELECT run.id, run.agent_id, run.environment_id, run.purpose, run.finished_at,
       run.pending_spans + run.active_spans + run.complete_spans + run.failed_spans
         + run.cancelled_spans,
       EXISTS (SELECT 1 FROM legal_hold AS hold
               WHERE hold.account_id = run.account_id AND hold.agent_instance_id = run.id)
FROM agent_instance AS run
WHERE run.account_id = :account_id AND run.finished_at < :ended_before
  AND (run.finished_at, run.id) > (:finished_at, :id)
ORDER BY run.finished_at, run.id LIMIT :slice

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
        WHERE account_id = :account_id AND abandoned_at IS NOT NULL AND abandoned_at < :ended_before
          AND finished_at IS NULL AND id > :id
        ORDER BY id LIMIT :slice) AS abandoned
    UNION ALL
    SELECT * FROM (
        SELECT *, updated_at AS ended_at FROM agent_instance
        WHERE account_id = :account_id AND status = 'pending' AND updated_at < :ended_before AND id > :id
        ORDER BY id LIMIT :slice) AS pending
) AS run
ORDER BY run.id LIMIT :slice

-- name: prune.sizes
-- The stored bytes of the payloads of runs, with what tells whether a run has changed.
SELECT run.id, run.pending_spans + run.active_spans + run.complete_spans + run.failed_spans
         + run.cancelled_spans, run.updated_at,
       (SELECT coalesce(sum(length(payload.body)), 0)
        FROM agent_span AS span
        JOIN span_payload AS payload ON payload.id BETWEEN span.seq * 2 AND span.seq * 2 + 1
        WHERE span.account_id = run.account_id AND span.agent_instance_id = run.id)
FROM json_each(:runs) AS named
CROSS JOIN agent_instance AS run ON run.account_id = :account_id AND run.id = named.value

-- name: prune.deletable
-- The given runs without a legal hold that ended before a time, or whose age counts from before it,
-- with what tells whether a run has changed.
SELECT run.id, run.pending_spans + run.active_spans + run.complete_spans + run.failed_spans
         + run.cancelled_spans, run.updated_at
FROM json_each(:runs) AS named
CROSS JOIN agent_instance AS run ON run.account_id = :account_id AND run.id = named.value
WHERE coalesce(run.finished_at, run.abandoned_at,
               CASE run.status WHEN 'pending' THEN run.updated_at END) < :ended_before
  AND NOT EXISTS (SELECT 1 FROM legal_hold AS hold
                  WHERE hold.account_id = run.account_id AND hold.agent_instance_id = run.id)

-- name: prune.delete_payloads
-- Delete the payloads of runs.
DELETE FROM span_payload WHERE id IN (
    SELECT span.seq * 2 + part.value FROM agent_span AS span
    CROSS JOIN json_each('[0, 1]') AS part
    WHERE span.account_id = :account_id
      AND span.agent_instance_id IN (SELECT value FROM json_each(:runs)))

-- name: prune.delete_spans
-- Delete the spans of runs.
DELETE FROM agent_span
WHERE account_id = :account_id AND agent_instance_id IN (SELECT value FROM json_each(:runs))

-- name: prune.hide_spans
-- Mark runs whose spans are deleted later. Until then, these spans are not shown.
INSERT OR IGNORE INTO deleted_run (account_id, id)
SELECT :account_id, value FROM json_each(:runs)

-- name: deleted.spans
-- Some spans of deleted runs.
SELECT span.seq FROM deleted_run AS gone
CROSS JOIN agent_span AS span
  ON span.account_id = gone.account_id AND span.agent_instance_id = gone.id
LIMIT :slice

-- name: deleted.spans_named
-- The spans of deleted runs that have these ids, or are of these runs.
SELECT span.seq FROM deleted_run AS gone
CROSS JOIN agent_span AS span
  ON span.account_id = gone.account_id AND span.agent_instance_id = gone.id
WHERE gone.account_id = :account_id
  AND gone.id IN (SELECT value FROM json_each(:runs))
UNION
SELECT span.seq FROM json_each(:spans) AS named
CROSS JOIN agent_span AS span ON span.account_id = :account_id AND span.id = named.value
CROSS JOIN deleted_run AS gone
  ON gone.account_id = span.account_id AND gone.id = span.agent_instance_id

-- name: deleted.delete_payloads
-- Delete the payloads of some spans.
DELETE FROM span_payload WHERE id IN (
    SELECT span.value * 2 + part.value FROM json_each(:seqs) AS span
    CROSS JOIN json_each('[0, 1]') AS part)

-- name: deleted.delete_spans
-- Delete some spans.
DELETE FROM agent_span WHERE seq IN (SELECT value FROM json_each(:seqs))

-- name: deleted.forget
-- Delete the marks of deleted runs without remaining spans.
DELETE FROM deleted_run WHERE NOT EXISTS (
    SELECT 1 FROM agent_span AS span
    WHERE span.account_id = deleted_run.account_id AND span.agent_instance_id = deleted_run.id)

-- name: prune.delete_quality
-- Delete the quality of runs.
DELETE FROM agent_instance_quality
WHERE account_id = :account_id AND id IN (SELECT value FROM json_each(:runs))

-- name: prune.delete_alerts
-- Delete the alerts of runs.
DELETE FROM alert
WHERE account_id = :account_id AND agent_instance_id IN (SELECT value FROM json_each(:runs))

-- name: prune.delete_webhook_deliveries
-- Delete the webhook deliveries about runs, sent or not.
DELETE FROM webhook_delivery
WHERE account_id = :account_id AND agent_instance_id IN (SELECT value FROM json_each(:runs))

-- name: prune.delete_metadata
-- Delete the metadata of runs, with its entries.
DELETE FROM agent_instance_metadata
WHERE account_id = :account_id AND id IN (SELECT value FROM json_each(:runs))

-- name: prune.delete_runs
-- Delete runs, after their spans.
DELETE FROM agent_instance
WHERE account_id = :account_id AND id IN (SELECT value FROM json_each(:runs))

-- name: hold.all
-- The holds of an account, oldest first.
SELECT account_id, agent_instance_id, reason, inserted_at FROM legal_hold
WHERE account_id = :account_id ORDER BY inserted_at, agent_instance_id

-- name: hold.run
-- Whether a run exists.
SELECT 1 FROM agent_instance WHERE account_id = :account_id AND id = :id

-- name: hold.add
-- Add a hold, or replace its reason.
INSERT INTO legal_hold (account_id, agent_instance_id, reason, inserted_at) VALUES (?, ?, ?, ?)
ON CONFLICT (account_id, agent_instance_id) DO UPDATE SET reason = excluded.reason

-- name: hold.remove
-- Remove a hold.
DELETE FROM legal_hold WHERE account_id = :account_id AND agent_instance_id = :id

-- name: audit.add
-- Add an entry to the audit log.
INSERT INTO audit_entry (account_id, at, actor, action, resource_id, detail)
VALUES (?, ?, ?, ?, ?, ?)

-- name: audit.extend
-- Update the entry of a deletion after another slice of it.
UPDATE audit_entry SET detail = :detail
WHERE account_id = :account_id AND at = :at AND actor = :actor AND action = :action
  AND resource_id = :resource_id AND detail = :previous

-- name: audit.forget
-- Delete some old entries of an account.
DELETE FROM audit_entry WHERE id IN (
    SELECT id FROM audit_entry WHERE account_id = :account_id AND at < :before
    ORDER BY at, id LIMIT :slice)

-- name: session.forget_expired
-- Delete some expired sessions.
DELETE FROM session WHERE rowid IN (
    SELECT rowid FROM session WHERE expires_at <= :now ORDER BY expires_at LIMIT :slice)

-- name: session.forget_idle
-- Delete some sessions that were idle for too long.
DELETE FROM session WHERE rowid IN (
    SELECT rowid FROM session WHERE last_used_at <= :idle_since ORDER BY last_used_at LIMIT :slice)

-- name: sign_in_link.forget
-- Delete some expired links.
DELETE FROM sign_in_link WHERE rowid IN (
    SELECT rowid FROM sign_in_link WHERE inserted_at <= :link_before
    ORDER BY inserted_at LIMIT :slice)
